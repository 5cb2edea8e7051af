package mask_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/bellhop-io/bellhop/internal/mask"
)

type hidden struct{ v string }

func (h hidden) LogValue() slog.Value { return slog.StringValue(h.v) }

func TestHandlerMasksAllOfARecord(t *testing.T) {
	var set mask.Set
	set.Replace([]string{"hunter2x"})
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		var to slog.Handler = slog.NewTextHandler(&out, nil)
		if format == "json" {
			to = slog.NewJSONHandler(&out, nil)
		}
		log := slog.New(set.Handler(to)).With("with", "hunter2x").WithGroup("g")
		log.Info("hunter2x said", "a", "hunter2x", "err", fmt.Errorf("no %w", errors.New("hunter2x")),
			slog.Group("inner", "b", "hunter2x"), "c", hidden{"hunter2x"}, "d", []string{"hunter2x"}, "e", struct{ X string }{"hunter2x"}, "n", 7, "plain", errors.New("plain"))
		if strings.Contains(out.String(), "hunter2x") || strings.Count(out.String(), mask.Stars) != 8 {
			t.Errorf("%s: %s", format, out.String())
		}
		if !strings.Contains(out.String(), "plain") || !strings.Contains(out.String(), "7") {
			t.Errorf("%s: what is not secret is gone: %s", format, out.String())
		}
	}
}

func TestHandlerOfAnEmptySetChangesNothing(t *testing.T) {
	var set mask.Set
	var out bytes.Buffer
	slog.New(set.Handler(slog.NewTextHandler(&out, nil))).Info("as it is", "n", 1)
	if !strings.Contains(out.String(), `msg="as it is" n=1`) {
		t.Error(out.String())
	}
}
