package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/bellhop-io/bellhop"
)

// maxFile is the largest file that is read.
const maxFile = 10 << 20

// source is one file as it was read.
type source struct {
	name  string   // as the asker knows it
	lines []string // without their ends
	root  *yaml.Node
	// stored: it is of the store, and came over a network.
	stored bool
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// readMain reads the file that was asked for; its error is for people.
func readMain(path string) ([]byte, error) {
	data, err := readFile(path)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, bellhop.Errorf(bellhop.NotFound, "there is no %s; `bellhop init` makes one, `-c FILE` names another: %w", path, err)
	case errors.Is(err, errFolder):
		return nil, bellhop.Errorf(bellhop.Invalid, "%s is a folder; name the file in it, such as %s", path, filepath.Join(path, DefaultFile))
	}
	return nil, bellhop.Errorf(bellhop.Unavailable, "%s can't be read; look at its rights and those of its folder: %w", path, plain(err))
}

var errFolder = errors.New("is a folder")

// plain drops the path from an error of the file system: the message has it.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// readFile reads at most one byte more than maxFile.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errFolder
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if errors.Is(err, syscall.EISDIR) {
		return nil, errFolder
	}
	return data, err
}

// parse makes a source of data. When it is nil, the reason is in faults.
func parse(name string, data []byte, faults *faultList) *source {
	fail := func(line, col int, format string, args ...any) *source {
		faults.add(bellhop.Position{File: name, Line: line, Col: col}, fmt.Sprintf(format, args...))
		return nil
	}
	if len(data) > maxFile {
		return fail(1, 1, "the file is larger than 10 MiB; split it with include:")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fail(1, 1, "the file is UTF-16; save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	s := &source{name: name, lines: splitLines(string(data))}
	if line, col, what := badCharacter(data); what != "" {
		return fail(line, col, "%s", what)
	}
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		f := s.syntaxFault(err)
		return fail(f.Pos.Line, f.Pos.Col, "%s", f.Message)
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return fail(1, 1, "%s", emptyFile)
	}
	s.root = root.Content[0]
	if s.root.Kind == yaml.ScalarNode && s.root.Tag == "!!null" {
		pos := at{src: s, node: s.root}.pos()
		return fail(pos.Line, pos.Col, "%s", emptyFile)
	}
	return s
}

const emptyFile = "the file is empty; it needs at least services: with a service, its jobs and its commands (`bellhop init` writes an example)"

// clamp keeps a place within the file: the parser finds some faults only when
// the file has ended.
func (s *source) clamp(pos bellhop.Position) bellhop.Position {
	last := len(s.lines)
	if last > 1 && s.lines[last-1] == "" {
		last--
	}
	if pos.Line > last {
		pos.Line, pos.Col = last, utf8.RuneCountInString(s.line(last))+1
	}
	return pos
}

func splitLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// badCharacter finds the first byte that no YAML file may hold; the parser
// would say so without a place.
func badCharacter(data []byte) (line, col int, what string) {
	line, col = 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, col, fmt.Sprintf("byte 0x%02x is not UTF-8; save the file as UTF-8", data[i])
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r >= 0x80 && r < 0xa0 && r != 0x85, r == 0xFFFE, r == 0xFFFF:
			return line, col, fmt.Sprintf("the control character U+%04X is not allowed in YAML; remove it (in double quotes, \"\\x%02x\" stands for it)", r, r)
		case r == 0x85, r == 0x2028, r == 0x2029, r == '\r' && (i+1 == len(data) || data[i+1] != '\n'):
			return line, col, fmt.Sprintf("the character U+%04X ends a line in YAML, but not in most editors; replace it by a plain line break, or remove it", r)
		case r == '\n':
			line, col = line+1, 0
		}
		i += size
		col++
	}
	return 0, 0, ""
}
