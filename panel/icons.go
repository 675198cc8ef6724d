package panel

import "html/template"

// icons are drawn for this panel on a grid of 24, in strokes of the colour of the text.
var icons = map[string]string{
	"home":      `<path d="M4 11 12 4l8 7v8a1 1 0 0 1-1 1h-4v-6H9v6H5a1 1 0 0 1-1-1z"/>`,
	"customers": `<circle cx="9" cy="8.5" r="3.5"/><path d="M3 20c0-3.3 2.7-5.5 6-5.5s6 2.2 6 5.5M16 5.2a3.5 3.5 0 0 1 0 6.6M18 14.9c1.9.8 3 2.6 3 5.1"/>`,
	"domains":   `<circle cx="12" cy="12" r="8.5"/><path d="M3.5 12h17M12 3.5c2.5 2.5 3.7 5.3 3.7 8.5s-1.2 6-3.7 8.5c-2.5-2.5-3.7-5.3-3.7-8.5s1.2-6 3.7-8.5z"/>`,
	"mailboxes": `<rect x="3.5" y="5.5" width="17" height="13" rx="2.5"/><path d="m4.5 7.5 7.5 6 7.5-6"/>`,
	"bin":       `<path d="M5 7h14M10 7V4.5h4V7M6.5 7l1 12.5h9l1-12.5M10.3 11v5M13.7 11v5"/>`,
	"help":      `<circle cx="12" cy="12" r="8.5"/><path d="M9.7 9.5c.2-1.4 1.2-2.2 2.4-2.2 1.4 0 2.4.9 2.4 2.2 0 2-2.5 2-2.5 4M12 16.6v.1"/>`,
	"account":   `<circle cx="12" cy="8.5" r="3.7"/><path d="M5 20c.3-3.7 3.2-6 7-6s6.7 2.3 7 6"/>`,
	"logout":    `<path d="M13.5 4.5H6a1 1 0 0 0-1 1v13a1 1 0 0 0 1 1h7.5M10 12h10M16.5 8.5 20 12l-3.5 3.5"/>`,
	"add":       `<path d="M12 5v14M5 12h14"/>`,
	"check":     `<path d="m5 12.5 4.7 4.7L19 7.5"/>`,
	"ok":        `<circle cx="12" cy="12" r="8.5"/><path d="m8 12.3 2.8 2.8 5.2-5.6"/>`,
	"warn":      `<path d="M12 4 21 19.5H3zM12 10v4.5M12 17v.1"/>`,
	"bad":       `<circle cx="12" cy="12" r="8.5"/><path d="m9 9 6 6M15 9l-6 6"/>`,
	"info":      `<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5.5M12 7.6v.1"/>`,
	"copy":      `<rect x="8.5" y="8.5" width="11" height="11" rx="2"/><path d="M15.5 8.5V6a1.5 1.5 0 0 0-1.5-1.5H6A1.5 1.5 0 0 0 4.5 6v8A1.5 1.5 0 0 0 6 15.5h2.5"/>`,
	"again":     `<path d="M19 12a7 7 0 1 1-2-4.9M19.5 4v4h-4"/>`,
	"eye":       `<path d="M3 12c2-4 5.2-6 9-6s7 2 9 6c-2 4-5.2 6-9 6s-7-2-9-6z"/><circle cx="12" cy="12" r="2.7"/>`,
	"eyeoff":    `<path d="M3 12c2-4 5.2-6 9-6s7 2 9 6c-2 4-5.2 6-9 6s-7-2-9-6zM5 19 19 5"/>`,
	"close":     `<path d="m6 6 12 12M18 6 6 18"/>`,
	"print":     `<path d="M7 8.5V4.5h10v4M7 16H4.5V9.5a1 1 0 0 1 1-1h13a1 1 0 0 1 1 1V16H17M7 13.5h10v6H7z"/>`,
	"send":      `<path d="M20 4 3.5 11l6.5 2.5L20 4l-6.5 16-3.5-6.5"/>`,
	"relay":     `<rect x="3.5" y="5" width="10" height="14" rx="2"/><path d="M6.5 9h4M6.5 12h4M16 12h5M18.5 9.3l2.5 2.7-2.5 2.7"/>`,
	"key":       `<circle cx="8" cy="14.5" r="4"/><path d="m11 11.7 8-7.7M15.5 7.5l2.5 2.7"/>`,
	"phone":     `<rect x="7" y="3.5" width="10" height="17" rx="2.2"/><path d="M11 17.7h2"/>`,
	"space":     `<ellipse cx="12" cy="6.5" rx="7.5" ry="2.8"/><path d="M4.5 6.5v11c0 1.6 3.4 2.8 7.5 2.8s7.5-1.2 7.5-2.8v-11M4.5 12c0 1.6 3.4 2.8 7.5 2.8s7.5-1.2 7.5-2.8"/>`,
	"search":    `<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5"/>`,
	"lock":      `<rect x="5.5" y="10.5" width="13" height="9" rx="2"/><path d="M8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5"/>`,
	"pause":     `<path d="M8.5 5.5v13M15.5 5.5v13"/>`,
	"undo":      `<path d="M8.5 5.5 4.5 9.5l4 4M5 9.5h9a5 5 0 0 1 0 10h-4"/>`,
	"up":        `<path d="m6.5 14.5 5.5-5.5 5.5 5.5"/>`,
	"down":      `<path d="m6.5 9.5 5.5 5.5 5.5-5.5"/>`,
	"next":      `<path d="m9.5 6 6 6-6 6"/>`,
	"clock":     `<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5.2l3.5 2"/>`,
	"language":  `<path d="M4 6.5h9M8.5 4.5v2M11 6.5c-.7 3.2-3 6-6.5 7.5M6 9.5c1.2 2.2 3.2 3.7 5.5 4.5M12.5 20l4-10 4 10M14 16.7h5"/>`,
}

// turning are the icons that point along the line of reading.
var turning = map[string]bool{"next": true, "undo": true, "logout": true, "send": true, "relay": true}

// icon returns an icon; it stands beside words and is silent. A name that does not exist
// fails the page, which its first test shows.
func icon(name string, classes ...string) (template.HTML, error) {
	path, ok := icons[name]
	if !ok {
		return "", errNotFound()
	}
	class := "icon"
	if turning[name] {
		class += " turns"
	}
	for _, c := range classes {
		class += " " + c
	}
	return template.HTML(`<svg class="` + template.HTMLEscapeString(class) + `" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8"` +
		` stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">` + path + `</svg>`), nil
}
