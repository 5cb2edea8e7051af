// Package fault breaks Bellhop where it is told to, so that tests can hold its
// promises against the worst moments. It is for programs built with the tag
// chaos alone: without it At is empty, and nothing else of this package is
// linked.
//
// Such a program reads from its environment:
//
//	BELLHOP_FAULT        what is to happen where: "commit.after=kill@7,submit.after=error%2"
//	BELLHOP_FAULT_SEED   the seed of what is left to chance; 0 when it is not set
//	BELLHOP_FAULT_CLOCK  a file whose text, such as -10m, is by how much the
//	                     machine's clock seems to have been stepped
//
// Each fault is POINT=ACTION@N, once, when a point is passed for the N-th time,
// or POINT=ACTION%P, each time with a chance of P in a hundred. The actions are
// kill (SIGKILL to itself), stop (SIGSTOP to itself) and error (the call fails
// as Unavailable).
//
// The points are commit.before and commit.after in the SQLite store's writer,
// inside of a transaction and after it, before anybody is answered; and for
// each method of the store's ports that writes, METHOD.before and METHOD.after,
// where an error comes instead of the call or after it was carried out:
// finish.before is after the execution and before its end is written,
// finish.after is before its report is delivered, settle.before is after it
// was delivered and before that is noted.
package fault

// Point is a place where a fault may happen.
type Point string

// The points that are not those of a port's method.
const (
	CommitBefore Point = "commit.before"
	CommitAfter  Point = "commit.after"
)
