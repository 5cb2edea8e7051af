package bellhop

import "time"

// Session is somebody who has logged in to the web page (not an Origin's
// Session, which is a connection). The store keeps a hash of its text.
type Session struct {
	ID        string    `json:"id"`
	Identity  string    `json:"identity"`  // that was proven
	Principal string    `json:"principal"` // as the configuration knows them now
	Agent     string    `json:"agent,omitempty"`
	From      string    `json:"from,omitempty"`
	Made      time.Time `json:"made"`
	Seen      time.Time `json:"seen"`    // to the minute
	Expires   time.Time `json:"expires"` // unless it is used before
	// Token is what each change must bring besides what proves the session, so
	// that no other site's page can have a browser make one. It lasts as long as
	// the session.
	Token string `json:"-"`
	// Stale: its text has been in use for long, and is to be replaced.
	Stale bool `json:"-"`
}

// Login is a link with which somebody opens the web page, once.
type Login struct {
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

// SessionAbout is what is known of where a session is opened, for people: the
// browser as it names itself, and its address. What is longer than 200 bytes is cut off.
type SessionAbout struct {
	Agent, From string
}
