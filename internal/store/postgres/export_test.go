package postgres

// CheckServer says what an old server is told.
func CheckServer(version int) error { return (&db{name: "postgres://db/x"}).checkServer(version) }

// LockClassHolds is what claims lock for sharing.
const LockClassHolds = lockClassHolds
