package chat

import (
	"context"

	"github.com/bellhop-io/bellhop"
)

// House is Bellhop as a chat sees it whose places stay: channels, threads,
// direct messages of many people, with no connection that would end. Such a
// chat is a bellhop.Destination of its own. (Desk is for connections.)
type House interface {
	// Hear hands over what somebody said, pressed or filled in. It returns
	// after what the answer says is durable, and only then the chat
	// acknowledges. An answer without an Action and a Question says that it was
	// not meant for Bellhop: nothing is said. The same Event.Key is the same
	// event, however often it comes. Errors are *bellhop.Error for the person;
	// one that is Unavailable says that nothing was written, and that the chat
	// may deliver the event again.
	Hear(ctx context.Context, ev bellhop.Event) (bellhop.Answer, error)
	// Run returns a run as the person may see it.
	Run(ctx context.Context, p bellhop.Person, id bellhop.RunID) (bellhop.Run, error)
	// Output is that of Desk, after the given attempt and seq, for a run that
	// the person may see.
	Output(ctx context.Context, p bellhop.Person, id bellhop.RunID, attempt int, seq int64, follow bool, fn func(bellhop.Chunk) error) error
	// Told is Output for a report that is being delivered: whoever is told of
	// a run is told what it printed, as its job's `report:` has it.
	Told(ctx context.Context, r bellhop.Report, fn func(bellhop.Chunk) error) error
}
