package slackapi

import "testing"

func TestWhereAnswersMayGo(t *testing.T) {
	t.Parallel()
	for api, list := range map[string]map[string]bool{
		"": {
			"https://hooks.slack.com/commands/T1/2/x": true, "https://hooks.slack.com/actions/T1/2/x": true,
			"http://hooks.slack.com/x": false, "https://hooks.slack.com:444/x": false, "https://slack.com/api/x": false, "https://hooks.slack.com.example/x": false,
			"https://x@hooks.slack.com/x": false, "https://example/hooks.slack.com": false, "https:hooks.slack.com/x": false, "": false, "\n": false,
			"http://127.0.0.1:1/x": false,
		},
		"http://127.0.0.1:1/api": {
			"http://127.0.0.1:1/x": true, "https://hooks.slack.com/x": true,
			"https://127.0.0.1:1/x": false, "http://127.0.0.1:2/x": false, "http://127.0.0.1/x": false, "http://x@127.0.0.1:1/x": false,
		},
	} {
		c := New(Options{URL: api})
		for to, may := range list {
			if err := c.checkRespond(to); (err == nil) != may {
				t.Errorf("with the API at %q, %q: %v", api, to, err)
			}
		}
	}
}
