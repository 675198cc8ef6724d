package panel

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/postchi/postchi/panel/clientsetup"
	"github.com/postchi/postchi/panel/i18n"
)

func (p *Panel) helpRoutes() []route {
	return []route{{http.MethodGet, "/help", everyone, p.help, 0}}
}

type helpPage struct {
	common
	Guides   []guideView
	POP      bool
	Symptoms []symptom
	Glossary []glossary
}

type guideView struct {
	ID, Client string
	Steps      []template.HTML
}

// symptom is a question and its answer.
type symptom struct {
	Question string // key
	Answer   template.HTML
}

type glossary struct{ Word, Meaning string }

// guide is how one mail program is set up by hand. Labels are the program's own in English;
// {P} is the protocol as programs write it.
type guide struct {
	id, client, menu, manual, finish string
	spa                              string // a label to be left off
	optional                         string // a mark to be ignored
}

var guides = []guide{
	{id: "thunderbird", client: "Thunderbird", menu: "≡ → New Account → Email", manual: "Configure Manually", finish: "Test → Continue"},
	{id: "outlook", client: "Outlook (classic)", menu: "File → Add Account", manual: "Advanced options → Let me set up my account manually → {P}",
		finish: "Connect → Done", spa: "Require logon using Secure Password Authentication (SPA)"},
	{id: "iphone", client: "iPhone, iPad", menu: "Settings → Apps → Mail → Mail Accounts → Add Account → Other → Add Mail Account", manual: "{P}",
		finish: "Next → Save", optional: "Optional"},
	{id: "android", client: "Gmail (Android)", menu: "Avatar → Add another account → Other", manual: "Manual setup → Personal ({P})", finish: "Next"},
}

func (p *Panel) help(r *request) error {
	s := clientsetup.New(clientsetup.Input{Server: p.ClientSetup(r.ctx()), Address: r.user.Email})
	page := &helpPage{POP: popOnly(s)}
	page.Nav = "help"
	in, out := s.Incoming(), s.Outgoing()
	if len(in) > 0 && len(out) > 0 {
		for _, g := range guides {
			page.Guides = append(page.Guides, r.guide(g, in[0], out[0]))
		}
		page.Symptoms = r.symptoms(out[0])
	}
	for _, word := range []string{"mailbox", "quota", "pop3", "smtp", "tls"} {
		page.Glossary = append(page.Glossary, glossary{"help.word." + word, "help.word." + word + ".text"})
	}
	return r.render(http.StatusOK, "help", page)
}

// guide puts the values of the settings model into the steps of a program.
func (r *request) guide(g guide, in, out clientsetup.Line) guideView {
	protocol := strings.ToUpper(string(in.Protocol))
	label := func(s string) i18n.LTR { return i18n.LTR(strings.ReplaceAll(s, "{P}", protocol)) }
	v := guideView{ID: g.id, Client: g.client}
	step := func(key string, pairs ...any) { v.Steps = append(v.Steps, r.lang.HTML(key, pairs...)) }
	step("help.step.add", "menu", label(g.menu))
	step("help.step.manual", "button", label(g.manual))
	step("help.step.in", "protocol", i18n.LTR(protocol), "host", i18n.LTR(in.Host), "port", port(in), "security", i18n.LTR(in.Security.Words()))
	step("help.step.out", "host", i18n.LTR(out.Host), "port", port(out), "security", i18n.LTR(out.Security.Words()))
	step("help.step.name")
	if g.spa != "" {
		step("help.step.spa", "label", label(g.spa))
	}
	if g.optional != "" {
		step("help.step.optional", "label", label(g.optional))
	}
	step("help.step.finish", "button", label(g.finish))
	return v
}

func (r *request) symptoms(out clientsetup.Line) []symptom {
	var all []symptom
	for _, name := range []string{"send", "password", "identity", "blocked", "vanished", "full"} {
		key := "help.symptom." + name
		all = append(all, symptom{key, r.lang.HTML(key+".answer", "port", port(out), "host", i18n.LTR(out.Host))})
	}
	return all
}

// port returns the number of a line's port; it keeps its ASCII digits in every language.
func port(l clientsetup.Line) i18n.LTR { return i18n.LTR(strconv.Itoa(l.Port)) }
