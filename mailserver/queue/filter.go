package queue

import (
	"strings"

	"github.com/postchi/postchi/models"
)

// tables joins a recipient with its message.
const tables = "queue_recipients r JOIN queue q ON q.id = r.queue_id"

// condition is the WHERE of a query over tables.
type condition struct {
	parts []string
	args  []any
}

func (c *condition) and(part string, args ...any) {
	c.parts = append(c.parts, part)
	c.args = append(c.args, args...)
}

func (c *condition) String() string {
	if len(c.parts) == 0 {
		return "1 = 1"
	}
	return strings.Join(c.parts, " AND ")
}

// chosen is what a viewer sees of what a filter chooses.
func chosen(scope models.Scope, f models.QueueFilter) *condition {
	c := &condition{}
	if !scope.All() {
		if scope.Customer() == 0 {
			c.and("1 = 0") // 0 is the server's own mail
		}
		c.and("q.customer_id = ?", scope.Customer())
	}
	if len(f.IDs) > 0 {
		ids := f.IDs[:min(len(f.IDs), models.MaxPageSize)]
		c.and("r.id IN ("+list("?", len(ids))+")", idArgs(ids)...)
	}
	if f.QueueID != 0 {
		c.and("r.queue_id = ?", f.QueueID)
	}
	if f.MailboxID != 0 {
		c.and("q.mailbox_id = ?", f.MailboxID)
	}
	if f.Sending {
		c.and("q.sending = 1")
	}
	if f.Domain != "" {
		c.and("r.domain = ?", strings.ToLower(f.Domain))
	}
	switch f.Reason {
	case "":
	case models.QueueUntried:
		c.and("r.reason = ''")
	default:
		c.and("r.reason = ?", f.Reason)
	}
	if f.Address != "" {
		c.and("r.address = ?", f.Address)
	}
	return c
}

// search adds the words of a search, each of which must occur somewhere.
func (c *condition) search(words string) {
	escape := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")
	all := strings.Fields(strings.ToLower(models.Clip(words, 200)))
	for _, w := range all[:min(len(all), 8)] {
		like := "%" + escape.Replace(w) + "%"
		c.and("(LOWER(r.address) LIKE ? ESCAPE '!' OR LOWER(q.sender) LIKE ? ESCAPE '!' OR LOWER(q.subject) LIKE ? ESCAPE '!' OR LOWER(q.message_id) LIKE ? ESCAPE '!' OR LOWER(r.reason) LIKE ? ESCAPE '!')",
			like, like, like, like, like)
	}
}

// among is the end of a condition that names ids, and its arguments after some first ones. Lists
// are filled up to a power of two with their last id, so that few statements are ever prepared.
func among(ids []models.ID, first ...any) (in string, args []any) {
	n := 1
	for n < len(ids) {
		n *= 2
	}
	args = idArgs(ids, first...)
	for range n - len(ids) {
		args = append(args, ids[len(ids)-1])
	}
	return " IN (" + list("?", n) + ")", args
}

func idArgs(ids []models.ID, first ...any) []any {
	for _, id := range ids {
		first = append(first, id)
	}
	return first
}
