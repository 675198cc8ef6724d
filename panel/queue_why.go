package panel

import (
	"html/template"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

// maxReply is how many bytes of another server's answer stand in a line; all of it is below.
const maxReply = 40

// why says in short why something waits: our words for what came without an answer, else codes
// and first words of the answer as it came. detail may be empty.
func (r *request) why(reason, detail string) template.HTML {
	if key := "queue.reason." + reason; r.lang.Has(key) {
		return r.lang.HTML(key)
	}
	text := reason
	if words := strings.Join(strings.Fields(detail), " "); words != "" {
		short := models.Clip(words, maxReply)
		if short != words {
			if at := strings.LastIndexByte(short, ' '); at > 0 {
				short = short[:at]
			}
			short += " …"
		}
		text += " " + short
	}
	return i18n.Isolate(text)
}
