package queue

// Reasons in short that are none of another server's: what the queue is grouped by. Their words
// are in the catalogues under "queue.reason.".
const (
	reasonDropped = "dropped" // taken out by hand; its sender is still to be told
)
