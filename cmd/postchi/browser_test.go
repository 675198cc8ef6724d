package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pageBound is how long a page may take before a test calls it hung; it is generous since
// many tests share the cores.
const pageBound = 60 * time.Second

// needProgram returns the path of the first of the programs that is installed. Without any the
// test is skipped, but not where every test must run.
func needProgram(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", names[0])
	}
	t.Skipf("%s is not installed: make test installs it", names[0])
	return ""
}

// chromium is a browser of a test's own.
type chromium struct{ ctx context.Context }

// startChromium starts one, with nothing of what it otherwise does over the network by itself.
func startChromium(t testing.TB) *chromium {
	t.Helper()
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options,
		chromedp.ExecPath(needProgram(t, "chromium", "chromium-browser", "google-chrome")),
		chromedp.UserDataDir(t.TempDir()), chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true), chromedp.Flag("mute-audio", true), chromedp.Flag("lang", "en"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return &chromium{ctx}
}

// tab is a page of a browser with cookies of its own, as a person uses it. Whatever such a
// person would see in the console, and every request to another host, fails the test.
type tab struct {
	t        testing.TB
	ctx      context.Context
	base     string // of the panel
	keyboard bool   // pages are used by keyboard alone
	noScript bool
	clicks   int // of the mouse, since the test set it to 0

	mu       sync.Mutex
	expected int             // status that the next document may have; else an error is a fault
	urls     map[string]bool // asked for
	bytes    float64         // received, headers included
	console  []string
}

// tab opens one; language is what the browser says it reads.
func (c *chromium) tab(t testing.TB, base, language string) *tab {
	t.Helper()
	w := &tab{t: t, base: base, urls: map[string]bool{}}
	ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(w.listen))
	t.Cleanup(cancel)
	w.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("tab: %v", err)
	}
	call(w, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}})
	for _, permission := range []string{"clipboard-read", "clipboard-write"} {
		p := cdpbrowser.SetPermissionParams{Permission: &cdpbrowser.PermissionDescriptor{Name: permission, AllowWithoutSanitization: permission == "clipboard-write"},
			Setting: cdpbrowser.PermissionSettingGranted, Origin: base, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID}
		if _, err := chromedp.CallBrowser(ctx, cdpbrowser.SetPermission, p); err != nil {
			t.Fatalf("permission %s: %v", permission, err)
		}
	}
	call(w, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	w.size(1280, 800)
	t.Cleanup(func() {
		if faults := w.faults(); len(faults) > 0 {
			t.Errorf("the browser complains:\n%s", strings.Join(faults, "\n"))
		}
	})
	return w
}

// listen is told of everything that happens in the tab.
func (w *tab) listen(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		w.urls[e.Request.URL] = true
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != w.base {
			w.console = append(w.console, "request to another host: "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		w.bytes += e.EncodedDataLength
	case *cdpruntime.EventConsoleAPICalled:
		w.console = append(w.console, fmt.Sprintf("console.%s: %s", e.Type, remoteText(e.Args)))
	case *cdpruntime.EventExceptionThrown:
		w.console = append(w.console, "exception: "+e.ExceptionDetails.Text+" "+remoteText([]*cdpruntime.RemoteObject{e.ExceptionDetails.Exception}))
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelVerbose || e.Entry.Level == cdplog.EntryLevelInfo { // advice
			return
		}
		// A page of status 422 is an error in the console too, though it was asked for.
		if e.Entry.Source == cdplog.EntrySourceNetwork && w.expected != 0 && strings.Contains(e.Entry.Text, "status of "+strconv.Itoa(w.expected)) {
			return
		}
		w.console = append(w.console, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *cdppage.EventJavascriptDialogOpening:
		w.console = append(w.console, "dialog: "+e.Message)
		go chromedp.Call(w.ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})
	}
}

func remoteText(args []*cdpruntime.RemoteObject) string {
	var text []string
	for _, a := range args {
		if a == nil {
			continue
		}
		text = append(text, string(a.Value)+a.Description)
	}
	return strings.Join(text, " ")
}

// faults returns what the browser complained of since the last time.
func (w *tab) faults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := w.console
	w.console = nil
	return faults
}

// received returns the bytes of everything loaded since the last time.
func (w *tab) received() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := int(w.bytes)
	w.bytes = 0
	return n
}

// call sends a command of the browser's protocol.
func call[P, R any](w *tab, command cdp.Command[P, R], params P) R {
	w.t.Helper()
	result, err := whenSettled(w, func(ctx context.Context) (R, error) { return chromedp.Call(ctx, command, params) })
	if err != nil {
		w.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// js evaluates an expression in the page; a promise is waited for. Where the page changes
// meanwhile it is evaluated in the next one as well.
func js[T any](w *tab, expression string, args ...any) T {
	w.t.Helper()
	evaluate := chromedp.Evaluate[T](fmt.Sprintf(expression, args...), chromedp.EvalAwaitPromise)
	result, err := whenSettled(w, func(ctx context.Context) (T, error) { return chromedp.Run(ctx, evaluate) })
	if err != nil {
		w.t.Fatalf("%s: %v\nat %s", tail(expression, 200), err, w.where())
	}
	return result
}

// whenSettled calls fn again, up to pageBound in all, while the browser answers that one page is
// gone and the next not yet there: such commands have done nothing.
func whenSettled[R any](w *tab, fn func(context.Context) (R, error)) (R, error) {
	ctx, cancel := context.WithTimeout(w.ctx, pageBound)
	defer cancel()
	for {
		result, err := fn(ctx)
		if !betweenPages(err) {
			return result, err
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// betweenPages reports whether an error comes of a page that is just being replaced. The browser
// has one code for all that a command cannot do, so the words decide.
func betweenPages(err error) bool {
	var e *cdproto.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, words := range []string{"Not attached to an active page", "Inspected target navigated or closed",
		"Cannot find context with specified id", "Cannot find default execution context", "Execution context was destroyed"} {
		if strings.Contains(e.Message, words) {
			return true
		}
	}
	return false
}

// where says which page is open, for messages.
func (w *tab) where() string {
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + (document.querySelector("main")?.innerText ?? "").slice(0, 1500)`))
	if err != nil {
		return err.Error()
	}
	return text
}

// load does something that leads to another page and returns that page's status.
func (w *tab) load(what string, steps ...chromedp.Action[chromedp.Void]) int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, pageBound)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		w.t.Fatalf("%s: %v\nat %s", what, err, w.where())
	}
	if res == nil { // from memory
		return 0
	}
	return int(res.Status)
}

// open goes to a page by its address.
func (w *tab) open(path string) int {
	w.t.Helper()
	return w.load("open "+path, chromedp.Navigate(w.base+path))
}

// expecting lets the pages that fn opens have this status without a complaint of the browser.
func (w *tab) expecting(status int, fn func() int) {
	w.t.Helper()
	w.mu.Lock()
	w.expected = status
	w.mu.Unlock()
	got := fn()
	w.mu.Lock()
	w.expected = 0
	w.mu.Unlock()
	if got != status {
		w.t.Fatalf("status %d, want %d\nat %s", got, status, w.where())
	}
}

// press uses a link or a button that leads to another page: a click, or Enter with the focus
// on it.
func (w *tab) press(selector string) int {
	w.t.Helper()
	if w.keyboard {
		w.tabTo(selector)
		return w.load("Enter on "+selector, chromedp.KeyEvent(kb.Enter))
	}
	w.clicks++
	return w.load("click on "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// touch is press for what stays on the page.
func (w *tab) touch(selector string) {
	w.t.Helper()
	if w.keyboard {
		w.tabTo(selector)
		w.do("Enter on "+selector, chromedp.KeyEvent(kb.Enter))
		return
	}
	w.clicks++
	w.do("click on "+selector, chromedp.Click(chromedp.CSS(selector)))
}

func (w *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, pageBound)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.t.Fatalf("%s: %v\nat %s", what, err, w.where())
	}
}

// fill types into a field in place of what is there. A field that has the focus already, as
// the first of a form, needs no click.
func (w *tab) fill(selector, text string) {
	w.t.Helper()
	switch {
	case w.keyboard:
		w.tabTo(selector)
	case !w.focused(selector):
		w.clicks++
		w.do("click into "+selector, chromedp.Click(chromedp.CSS(selector)))
	}
	w.do("type into "+selector, chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)), chromedp.KeyEvent(kb.Backspace))
	if w.keyboard {
		w.do("type into "+selector, chromedp.KeyEvent(text))
	} else {
		call(w, input.InsertText, input.InsertTextParams{Text: text})
	}
	if got := w.value(selector); got != text {
		w.t.Fatalf("%s holds %q after typing %q", selector, got, text)
	}
}

func (w *tab) focused(selector string) bool {
	return js[bool](w, `document.activeElement?.matches(%q) ?? false`, selector)
}

// tabTo moves the focus with the Tab key, and checks at each stop that it can be seen.
func (w *tab) tabTo(selector string) {
	w.t.Helper()
	if w.focused(selector) {
		return
	}
	if !w.has(selector) {
		w.t.Fatalf("no %s\nat %s", selector, w.where())
	}
	for range 150 {
		w.do("Tab", chromedp.KeyEvent(kb.Tab))
		if fault := js[string](w, focusSeen); fault != "" {
			w.t.Errorf("focus on %s\nat %s", fault, w.where())
		}
		if w.focused(selector) {
			return
		}
	}
	w.t.Fatalf("%s cannot be reached by keyboard\nat %s", selector, w.where())
}

// focusSeen is "" if the element with the focus shows it and nothing lies over it.
const focusSeen = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body) return "";
	const name = e.outerHTML.slice(0, 120);
	const s = getComputedStyle(e), r = e.getBoundingClientRect();
	if (!e.matches(":focus-visible")) return name + ": not :focus-visible";
	if ((s.outlineStyle === "none" || parseFloat(s.outlineWidth) === 0) && s.boxShadow === "none") return name + ": no outline";
	if (r.width < 1 || r.height < 1) return name + ": no size";
	const x = r.left + r.width / 2, y = Math.min(Math.max(r.top + r.height / 2, 0), innerHeight - 1);
	if (r.bottom < 0 || r.top > innerHeight || r.right < 0 || r.left > innerWidth) return name + ": outside the window";
	const top = document.elementFromPoint(x, y);
	if (top && top !== e && !e.contains(top) && !top.contains(e) && !top.closest("label")?.contains(e)) return name + ": covered by " + top.outerHTML.slice(0, 120);
	return "";
})()`

func (w *tab) has(selector string) bool {
	return js[bool](w, `document.querySelector(%q) !== null`, selector)
}

// value returns what a field holds.
func (w *tab) value(selector string) string {
	w.t.Helper()
	return js[string](w, `(e => e ? e.value : "no such field")(document.querySelector(%q))`, selector)
}

// text returns the words of an element as they are seen.
func (w *tab) text(selector string) string {
	w.t.Helper()
	return js[string](w, `document.querySelector(%q)?.innerText ?? ""`, selector)
}

// html returns the page as the browser holds it.
func (w *tab) html() string { return js[string](w, `document.documentElement.outerHTML`) }

// path returns the address of the page without the host.
func (w *tab) path() string { return js[string](w, `location.pathname + location.search`) }

// size makes the window so large.
func (w *tab) size(width, height int64) {
	w.t.Helper()
	w.do("size", chromedp.EmulateViewport(width, height))
}

// scheme makes the system light or dark.
func (w *tab) scheme(name string) {
	w.t.Helper()
	call(w, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// withoutScripts turns the scripts of pages off.
func (w *tab) withoutScripts() {
	w.noScript = true
	call(w, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// login logs in on the log-in page.
func (w *tab) login(name, password string) {
	w.t.Helper()
	w.fill("#name", name)
	w.fill("#password", password)
	if status := w.press("#login"); status != 200 || strings.HasPrefix(w.path(), "/login") {
		w.t.Fatalf("log-in of %s: status %d\nat %s", name, status, w.where())
	}
}
