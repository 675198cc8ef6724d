package panel

import (
	"html/template"
	"net/http"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

// wayPage shows where mail to an address would go.
type wayPage struct {
	common
	Form    *form
	Address string // asked for; "" = nothing yet
	Steps   []wayStep
	Refused template.HTML // what a sender would be told; "" = it is taken
	Ends    int           // places it reaches
}

// wayStep is one line of the way, Depth aliases behind the address.
type wayStep struct {
	Depth []struct{} // ranged over
	Good  bool
	Words template.HTML
}

func (p *Panel) testAlias(r *request) error {
	f := r.prefilled()
	page := &wayPage{Form: f}
	page.Nav = "mailboxes"
	asked := f.text("address")
	if asked == "" {
		return r.render(http.StatusOK, "alias_test", page, f)
	}
	route, err := p.Service.Explain(r.ctx(), r.viewer, asked)
	if route == nil {
		if models.Is(err, models.NotFound) { // a domain that is not the viewer's
			err = models.Errorf(models.NotFound, "recipient.elsewhere", "This server does not serve mail for it.").With("domain", domainOf(asked)).On("address")
		}
		if err := f.take(err); err != nil {
			return err
		}
		return r.render(f.status(), "alias_test", page, f)
	}
	page.Address = route.Address
	page.Ends = len(route.Local) + len(route.Remote)
	if all := models.Errors(err); len(all) > 0 {
		page.Refused = r.wordsOf(all[0])
	}
	for _, s := range route.Steps {
		page.Steps = append(page.Steps, r.wayStep(s))
	}
	return r.render(http.StatusOK, "alias_test", page, f)
}

func (r *request) wayStep(s models.RouteStep) wayStep {
	step := wayStep{Depth: make([]struct{}, min(s.Depth, 5))}
	switch s.Kind {
	case models.StepOff, models.StepUnknown, models.StepUnverified, models.StepTooMuch:
	default:
		step.Good = true
	}
	step.Words = r.lang.HTML("step."+string(s.Kind), "address", i18n.LTR(unicodeAddress(s.Address)), "to", i18n.LTR(unicodeAddress(s.To)))
	return step
}

func domainOf(address string) i18n.LTR {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return i18n.LTR(address[i+1:])
		}
	}
	return i18n.LTR(address)
}
