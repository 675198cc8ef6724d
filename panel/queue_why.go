package panel

import (
	"html/template"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

// maxReply is how many bytes of another server's answer stand in a line; all of it is below.
const maxReply = 80

// why says in short why something waits: our words for what came without an answer, else codes
// and first words of the answer as it came. detail may be empty.
func (r *request) why(reason, detail string) template.HTML {
	if key := "queue.reason." + reason; r.lang.Has(key) {
		return r.lang.HTML(key)
	}
	text := reason
	if words := strings.Join(strings.Fields(detail), " "); words != "" {
		text += " " + models.Clip(words, maxReply)
		if len(words) > maxReply {
			text += "…"
		}
	}
	return i18n.Isolate(text)
}
