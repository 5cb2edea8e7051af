package tracing

// What is read from outside.
var (
	From    = from
	Headers = headers
)
