package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bellhop-io/bellhop"
	"github.com/bellhop-io/bellhop/internal/chat"
	"github.com/bellhop-io/bellhop/internal/conversation"
	"github.com/bellhop-io/bellhop/internal/server"
)

// conversations is what the files of conversations are called.
const conversations = "*.conversation"

// tester is the verb test.
type tester struct {
	*app
	real   bool
	within time.Duration
	loaded *server.Loaded
}

func (a *app) testCommand() *cobra.Command {
	t := &tester{app: a}
	cmd := &cobra.Command{
		Use:   "test [FLAGS] [FILE]...",
		Short: "Hold conversations that are written down, and see whether what comes back is right",
		Long: "Hold conversations that are written down, and see whether what comes back is\n" +
			"right. Without a FILE, every " + conversations + " beside the configuration is held, and\n" +
			"of a folder every one in it. Each has a server of its own, with an empty store;\n" +
			"nothing listens, and a server that runs is not touched.\n\n" +
			"Jobs that a file marks as fake are not carried out. Others are refused, unless\n" +
			"--run is given: then they are CARRIED OUT IN EARNEST, with all that they do.",
		RunE: func(cmd *cobra.Command, args []string) error { return t.all(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&t.real, "run", false, "carry out, in earnest, jobs that are not marked as fake")
	cmd.Flags().DurationVar(&t.within, "within", conversation.Patience, "how long an answer may take")
	return cmd
}

// all holds every conversation, and prints a line for each and a summary.
func (t *tester) all(ctx context.Context, args []string) error {
	if t.within <= 0 {
		return bellhop.Errorf(bellhop.Invalid, "--within %s is no time to wait; give one such as 10s", t.within)
	}
	files, err := t.files(args)
	if err != nil {
		return err
	}
	if t.loaded, err = t.load(); err != nil {
		return err
	}
	scripts, err := t.read(files)
	if err != nil {
		return err
	}
	failed := 0
	for _, s := range scripts {
		begin := time.Now()
		err := t.hold(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			fmt.Fprintf(t.Out, "ok    %s (%s)\n", chat.Clean(s.File), chat.Duration(time.Since(begin)))
			continue
		}
		failure, ok := errors.AsType[*conversation.Failure](err)
		if !ok {
			return err
		}
		failed++
		fmt.Fprintf(t.Out, "FAIL  %s\n%s\n", chat.Clean(s.File), chat.CleanText(failure.Error()))
	}
	fmt.Fprintf(t.Out, "%s: %d ok, %d failed\n", count(len(scripts), "conversation"), len(scripts)-failed, failed)
	if failed > 0 {
		return exit(1)
	}
	return nil
}

// files returns the files that are meant.
func (t *tester) files(args []string) (files []string, err error) {
	if len(args) == 0 {
		if _, err := t.home(); err != nil {
			return nil, err
		}
		args = []string{filepath.Dir(t.config)}
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, bellhop.Errorf(bellhop.NotFound, "there is no file %s to test", arg)
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		found, err := filepath.Glob(filepath.Join(arg, conversations))
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, bellhop.Errorf(bellhop.NotFound, "there is no %s in %s; docs/testing.md shows how to write one", conversations, arg)
		}
		files = append(files, found...)
	}
	return files, nil
}

// maxFile bounds what is read of a file; the parser says that it is too much.
const maxFile = 2 << 20

// read reads all scripts, and prints all of their faults.
func (t *tester) read(files []string) (scripts []*conversation.Script, err error) {
	faults := 0
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, bellhop.Errorf(bellhop.Unavailable, "%s can't be read: %w", path, err)
		}
		data, err := io.ReadAll(io.LimitReader(f, maxFile))
		f.Close()
		if err != nil {
			return nil, bellhop.Errorf(bellhop.Unavailable, "%s can't be read: %w", path, err)
		}
		script, wrong := conversation.Parse(path, data)
		if script != nil {
			wrong = t.loaded.CheckScript(script)
		}
		for _, fault := range wrong {
			t.tell("%s:%d: %s", fault.Pos.File, fault.Pos.Line, fault.Message)
		}
		faults += len(wrong)
		scripts = append(scripts, script)
	}
	if faults > 0 {
		return nil, bellhop.Errorf(bellhop.Invalid, "the conversations have %s, so none was held", count(faults, "fault"))
	}
	return scripts, nil
}

// hold holds one conversation on a server of its own.
func (t *tester) hold(ctx context.Context, s *conversation.Script) error {
	log := slog.New(slog.DiscardHandler)
	if t.real {
		log = t.quietLog(t.loaded)
	}
	r, _, err := server.Rehearse(ctx, server.RehearsalOptions{Config: t.loaded, Log: log, Real: t.real})
	if err != nil {
		return err
	}
	defer r.Stop()
	stage := r.Stage()
	defer stage.Close()
	return conversation.Run(ctx, s, stage, t.within)
}
