package panel

import (
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

// deletePage asks to type the name of what shall be gone for good.
type deletePage struct {
	common
	Form          *form
	Heading, Text string // keys
	Purge         string // key of the box "and all that is in it"; "" = none
	Name          string
	Technical     bool // Name is an address or a domain
	Shown         any  // Name for words
	Count         int64
	Back, Action  string
	Typed         *input
}

func (p *Panel) deletePage(r *request, page *deletePage) error {
	page.Shown = page.Name
	class := ""
	if page.Technical {
		page.Shown, class = i18n.LTR(page.Name), "tech"
	}
	page.Here = page.Action
	r.putWords(page.Form)
	var err error
	if page.Typed, err = newInput(page.Form, "typed", "class", class, "autocomplete", "off", "required", "yes"); err != nil {
		return err
	}
	return r.render(page.Form.status(), "delete", page, page.Form)
}

// typed checks that one of the names was typed; otherwise the form has failed. Case and the
// forms of Persian letters do not matter.
func (f *form) typed(names ...string) bool {
	for _, name := range names {
		if strings.EqualFold(f.text("typed"), strings.TrimSpace(name)) || models.Fold(f.text("typed")) == models.Fold(name) {
			return true
		}
	}
	f.fail(models.Errorf(models.Invalid, "delete.typed", "That is not the name.").On("typed"))
	return false
}
