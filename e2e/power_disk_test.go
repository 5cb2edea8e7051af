package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// call is one system call of a recording by
//
//	strace -f -y -xx -s MAX -o FILE
//
// A call that other threads' calls came in between of stands there twice:
// where it begins, and where it returns.
type call struct {
	name    string
	path    string // of the file it is about
	to      string // rename: the new name
	data    []byte // what is written
	offset  int64  // pwrite64: where; ftruncate: the new size
	result  int64  // once it has returned; negative for a fault
	returns *call  // the beginning that this is the return of; nil for a beginning
}

// readTrace reads a recording. Calls that nothing is to be learnt from are
// left out.
func readTrace(r io.Reader) ([]*call, error) {
	lines := bufio.NewReaderSize(r, 1<<20)
	open := make(map[string]*call) // by thread
	var out []*call
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d is cut off: %w", n, err)
		}
		pid, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		text = strings.TrimLeft(text, " ")
		switch begun := open[pid]; {
		case strings.HasPrefix(text, "+++"), strings.HasPrefix(text, "---"):
		case strings.HasPrefix(text, "<... "):
			delete(open, pid)
			if begun != nil {
				out = append(out, &call{result: resultOf(text), returns: begun})
			}
		default:
			c, err := parseCall(text)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w: %.200s", n, err, text)
			}
			if c == nil {
				continue
			}
			out = append(out, c)
			if strings.HasSuffix(text, "<unfinished ...>") {
				open[pid] = c
			} else {
				out = append(out, &call{result: resultOf(text), returns: c})
			}
		}
	}
}

// resultOf reads what a call returned.
func resultOf(text string) int64 {
	_, after, ok := strings.Cut(text[max(0, strings.LastIndexByte(text, ')')):], " = ")
	if !ok {
		return -1 // killed in the midst of it
	}
	n, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// parseCall reads a call's name and arguments; nil when it is of no interest.
func parseCall(text string) (*call, error) {
	name, rest, ok := strings.Cut(text, "(")
	if !ok {
		return nil, errors.New("it is not a call")
	}
	c := &call{name: name}
	switch name {
	case "write", "pwrite64", "ftruncate", "fsync", "fdatasync":
		fd, args, _ := strings.Cut(rest, ">")
		_, c.path, _ = strings.Cut(fd, "<")
		c.path = unhex(c.path)
		_, args, _ = strings.Cut(args, ", ")
		if name == "ftruncate" {
			args, _, _ = strings.Cut(args, ")")
			args = strings.TrimSuffix(args, " <unfinished ...>")
			var err error
			c.offset, err = strconv.ParseInt(args, 10, 64)
			return c, err
		}
		if name == "fsync" || name == "fdatasync" {
			return c, nil
		}
		data, args, ok := strings.Cut(strings.TrimPrefix(args, `"`), `"`)
		if !ok || strings.HasPrefix(args, "...") {
			return nil, errors.New("what is written is not all there; record with a greater -s")
		}
		c.data = []byte(unhex(data))
		if name == "pwrite64" {
			f := strings.Split(strings.TrimPrefix(args, ", "), ", ")
			if len(f) < 2 {
				return nil, errors.New("it has no offset")
			}
			offset, _, _ := strings.Cut(f[1], ")")
			offset, _, _ = strings.Cut(offset, " ")
			var err error
			c.offset, err = strconv.ParseInt(offset, 10, 64)
			return c, err
		}
		return c, nil
	case "unlink", "unlinkat", "rename", "renameat", "renameat2":
		parts := strings.Split(rest, `"`)
		if len(parts) < 3 {
			return nil, errors.New("it names no file")
		}
		c.path = unhex(parts[1])
		if strings.HasPrefix(name, "rename") && len(parts) > 3 {
			c.to = unhex(parts[3])
		}
		return c, nil
	case "pwritev", "pwritev2", "writev", "fallocate", "sync_file_range":
		c.path = unhex(rest) // only seen not to be about the store
		return c, nil
	}
	return nil, nil
}

// unhex undoes the escapes that -xx writes for every byte.
func unhex(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	out := make([]byte, 0, len(s)/4)
	for i := 0; i < len(s); {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			out = append(out, digit(s[i+2])<<4|digit(s[i+3]))
			i += 4
			continue
		}
		out = append(out, s[i])
		i++
	}
	return string(out)
}

func digit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// disk is a machine's disk as the worst one that keeps its word: it has what
// was synced, and of everything else what it pleases. That holds for names of
// files as well: they are there once their folder was synced.
type disk struct {
	prefix string // of the files that it is about
	ignore []string
	// lies: what is synced is not, for a test of the test.
	lies bool

	names   map[string]*inode // as a program sees them
	durable map[string]*inode
	pending []name // since the folder was synced
	returns map[*call]func(result int64)
}

type name struct {
	path string
	file *inode // nil: the name is removed
}

// inode is a file.
type inode struct {
	durable []byte
	pending []*change
}

type change struct {
	data     []byte
	offset   int64
	truncate bool
	done     bool // the call has returned
}

func newDisk(prefix string) *disk {
	return &disk{
		prefix: prefix, ignore: []string{prefix + "-shm", prefix + ".lock"}, // made anew by whoever opens the store
		names: make(map[string]*inode), durable: make(map[string]*inode), returns: make(map[*call]func(int64)),
	}
}

func (d *disk) about(path string) bool {
	return strings.HasPrefix(path, d.prefix) && !strings.HasSuffix(path, "(deleted)") && !slices.Contains(d.ignore, path)
}

// apply takes in a call or its return.
func (d *disk) apply(c *call) error {
	if c.returns != nil {
		if fn := d.returns[c.returns]; fn != nil {
			delete(d.returns, c.returns)
			fn(c.result)
		}
		return nil
	}
	if c.name == "fsync" && c.path == filepath.Dir(d.prefix) {
		n := len(d.pending)
		d.sync(c, func() {
			for _, p := range d.pending[:n] {
				p.apply(d.durable)
			}
			d.pending = d.pending[n:]
		})
		return nil
	}
	if !d.about(c.path) && !d.about(c.to) {
		return nil
	}
	switch c.name {
	case "pwrite64", "ftruncate":
		f := d.file(c.path)
		p := &change{data: c.data, offset: c.offset, truncate: c.name == "ftruncate"}
		f.pending = append(f.pending, p)
		d.returns[c] = func(result int64) {
			p.done = result >= 0
			if !p.truncate && p.done {
				p.data = p.data[:result]
			}
		}
	case "fsync", "fdatasync":
		f := d.file(c.path)
		covered := make(map[*change]bool) // only what had returned when it began
		for _, p := range f.pending {
			covered[p] = p.done
		}
		d.sync(c, func() {
			f.pending = slices.DeleteFunc(f.pending, func(p *change) bool {
				if covered[p] {
					f.durable = p.apply(f.durable)
				}
				return covered[p]
			})
		})
	case "unlink", "unlinkat":
		if d.names[c.path] != nil {
			d.name(c.path, nil)
		}
	default:
		return fmt.Errorf("%s of %s is more than this disk knows; teach it", c.name, c.path)
	}
	return nil
}

// sync has fn called when a call returns well, if it is to be believed.
func (d *disk) sync(c *call, fn func()) {
	d.returns[c] = func(result int64) {
		if result == 0 && !d.lies {
			fn()
		}
	}
}

// file returns the file of that name, which is made when it is not there.
func (d *disk) file(path string) *inode {
	f := d.names[path]
	if f == nil {
		f = &inode{}
		d.name(path, f)
	}
	return f
}

func (d *disk) name(path string, f *inode) {
	n := name{path, f}
	n.apply(d.names)
	d.pending = append(d.pending, n)
}

func (n name) apply(names map[string]*inode) {
	if n.file == nil {
		delete(names, n.path)
	} else {
		names[n.path] = n.file
	}
}

func (c *change) apply(b []byte) []byte {
	end := c.offset + int64(len(c.data))
	switch {
	case c.truncate && int64(len(b)) > c.offset:
		return b[:c.offset:c.offset]
	case int64(len(b)) < end:
		if int64(cap(b)) < end {
			b = append(make([]byte, 0, end*2), b...)
		}
		grown := b[:end]
		clear(grown[len(b):]) // what was cut off once does not come back
		b = grown
	}
	copy(b[c.offset:end], c.data)
	return b
}

// sector is what a disk writes whole or not at all.
const sector = 512

// lose returns the files as they are after a loss of power: what was synced,
// and of the rest nothing, or with torn, some of it in any order and in parts.
func (d *disk) lose(torn *rand.Rand) map[string][]byte {
	names := maps.Clone(d.durable)
	if torn != nil && len(d.pending) > 0 { // a folder changes in order
		for _, n := range d.pending[:torn.IntN(len(d.pending)+1)] {
			n.apply(names)
		}
	}
	out := make(map[string][]byte)
	for path, f := range names {
		b := slices.Clone(f.durable)
		if torn != nil {
			b = tear(b, f.pending, torn)
		}
		out[path] = b
	}
	return out
}

func tear(b []byte, pending []*change, torn *rand.Rand) []byte {
	for _, c := range pending {
		switch torn.IntN(4) {
		case 0: // lost
		case 1: // in part
			if c.truncate {
				continue
			}
			for at := int64(0); at < int64(len(c.data)); {
				next := min(int64(len(c.data)), (c.offset+at)/sector*sector+sector-c.offset)
				if torn.IntN(2) == 0 {
					b = (&change{data: c.data[at:next], offset: c.offset + at}).apply(b)
				}
				at = next
			}
		default:
			b = c.apply(b)
		}
	}
	return b
}

// writeFiles puts files into one folder.
func writeFiles(dir string, files map[string][]byte) error {
	for path, b := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
