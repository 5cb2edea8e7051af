package bellhop

// Health is how the parts of a server are.
type Health struct {
	Parts   []Part   `json:"parts"`
	Working int      `json:"working"` // runs that this server works now
	Slots   int      `json:"slots"`   // as many as it may
	Servers []string `json:"servers"` // those that live, this one among them
}

// Part is the store, the server itself, a chat, a broker.
type Part struct {
	Name  string `json:"name"`
	Up    bool   `json:"up"`
	Error string `json:"error,omitempty"` // why not, for admins
}
