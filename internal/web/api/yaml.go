package api

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bellhop-io/bellhop"
)

// YAML is what is known of a version of a service that the store keeps.
type YAML struct {
	Service string    `json:"service"`
	Version int64     `json:"version"` // from 1
	By      string    `json:"by"`      // the principal who sent it
	At      time.Time `json:"at"`
	Bytes   int       `json:"bytes"`
	Removed bool      `json:"removed,omitempty"` // this version took the service out
	// LeftOut says why the service can't be asked for here: it does not go with
	// the files of this server.
	LeftOut string `json:"left_out,omitempty"`
}

// YAMLs is what an admin may have done with services that the store keeps. only
// is the version that must be there, 0 for none; -1 = whatever is there.
type YAMLs interface {
	PutYAML(ctx context.Context, p bellhop.Person, text []byte, only int64) (YAML, error)
	RemoveYAML(ctx context.Context, p bellhop.Person, service string, only int64) (YAML, error)
	YAMLs(ctx context.Context, p bellhop.Person) ([]YAML, error)
	YAMLHistory(ctx context.Context, p bellhop.Person, service string) ([]YAML, error)
	YAMLText(ctx context.Context, p bellhop.Person, service string, version int64) ([]byte, YAML, error)
}

type (
	yamlList struct {
		Services []YAML `json:"services"`
	}
	yamlHistory struct {
		Versions []YAML `json:"versions"` // newest first
	}
)

const mediaYAML = "application/yaml"

func (h *Handler) handleYAML() {
	h.handle("POST /v1/yaml", h.putYAML)
	h.handle("GET /v1/yaml", func(w http.ResponseWriter, r *http.Request, c caller) error {
		list, err := h.front.YAMLs(r.Context(), c.person)
		if err != nil {
			return err
		}
		return reply(w, yamlList{append([]YAML{}, list...)})
	})
	h.handle("GET /v1/yaml/{service}", h.getYAML)
	h.handle("GET /v1/yaml/{service}/history", func(w http.ResponseWriter, r *http.Request, c caller) error {
		list, err := h.front.YAMLHistory(r.Context(), c.person, r.PathValue("service"))
		if err != nil {
			return err
		}
		return reply(w, yamlHistory{append([]YAML{}, list...)})
	})
	h.handle("DELETE /v1/yaml/{service}", func(w http.ResponseWriter, r *http.Request, c caller) error {
		only, err := ifMatch(r)
		if err != nil {
			return err
		}
		y, err := h.front.RemoveYAML(r.Context(), c.person, r.PathValue("service"), only)
		return replyYAML(w, y, err)
	})
}

func (h *Handler) putYAML(w http.ResponseWriter, r *http.Request, c caller) error {
	if said := r.Header.Get("Content-Type"); said != "" {
		media, _, err := mime.ParseMediaType(said)
		if err != nil || !slices.Contains([]string{mediaYAML, "application/x-yaml", "text/yaml", "text/plain"}, media) {
			return bellhop.Errorf(bellhop.Invalid, "the body is said to be %.60q; send YAML as it is, such as: curl -H 'Content-Type: application/yaml' --data-binary @service.yaml", said)
		}
	}
	only, err := ifMatch(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return bellhop.Errorf(bellhop.Invalid, "the request's body can't be read: %w", err)
	}
	y, err := h.front.PutYAML(r.Context(), c.person, text, only)
	return replyYAML(w, y, err)
}

func replyYAML(w http.ResponseWriter, y YAML, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(y.Version))
	return reply(w, y)
}

func (h *Handler) getYAML(w http.ResponseWriter, r *http.Request, c caller) error {
	version := int64(0)
	if s := r.URL.Query().Get("version"); s != "" {
		var err error
		if version, err = strconv.ParseInt(s, 10, 64); err != nil || version < 1 {
			return bellhop.Errorf(bellhop.Invalid, "version is %.40q; it takes a number from 1 on, as /v1/yaml/SERVICE/history has them", s)
		}
	}
	text, y, err := h.front.YAMLText(r.Context(), c.person, r.PathValue("service"), version)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaYAML)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("ETag", etag(y.Version))
	w.Header().Set("Last-Modified", y.At.UTC().Format(http.TimeFormat))
	_, err = w.Write(text)
	return err
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// ifMatch reads the version that a change follows; -1 = any. If-None-Match: *
// is for what must not be there yet.
func ifMatch(r *http.Request) (int64, error) {
	none, one := r.Header.Get("If-None-Match"), r.Header.Get("If-Match")
	switch {
	case none == "*" && one == "":
		return 0, nil
	case none != "":
		return 0, bellhop.Errorf(bellhop.Invalid, "If-None-Match takes * here, and not together with If-Match")
	case one == "" || one == "*":
		return -1, nil
	}
	n, err := strconv.ParseInt(strings.Trim(one, `"`), 10, 64)
	if err != nil || n < 1 {
		return 0, bellhop.Errorf(bellhop.Invalid, "If-Match is %.40q; it takes one version, as the ETag of an answer has it, such as \"3\"", one)
	}
	return n, nil
}

// PutYAML has a service kept and made active.
func (c *Client) PutYAML(ctx context.Context, text []byte) (y YAML, err error) {
	resp, err := c.send(ctx, "POST", "/v1/yaml", http.Header{"Content-Type": {mediaYAML}}, text)
	if err != nil {
		return y, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&y)
	return y, err
}

// RemoveYAML takes a service out of the store.
func (c *Client) RemoveYAML(ctx context.Context, service string) (YAML, error) {
	return call[YAML](ctx, c, "DELETE", "/v1/yaml/"+url.PathEscape(service), nil, nil)
}

// YAMLs lists the services of the store.
func (c *Client) YAMLs(ctx context.Context) ([]YAML, error) {
	got, err := reading[yamlList](ctx, c, "/v1/yaml")
	return got.Services, err
}

// YAMLHistory lists the versions of a service, newest first.
func (c *Client) YAMLHistory(ctx context.Context, service string) ([]YAML, error) {
	got, err := reading[yamlHistory](ctx, c, "/v1/yaml/"+url.PathEscape(service)+"/history")
	return got.Versions, err
}

// YAMLText returns the text of a version of a service; 0 = the newest.
func (c *Client) YAMLText(ctx context.Context, service string, version int64) ([]byte, error) {
	path := "/v1/yaml/" + url.PathEscape(service)
	if version > 0 {
		path += "?version=" + strconv.FormatInt(version, 10)
	}
	resp, err := c.send(ctx, "GET", path, nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
