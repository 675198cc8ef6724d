package service

import "strings"

// Addresses and links stand on lines of their own: within a Persian sentence they would be
// turned around.
var (
	linkEnglish = linkWords{
		subject: "Forwarding of {from}: do you agree?",
		text: `Hello,

somebody who looks after

    {from}

wants mail to it to be sent on to you at

    {to}

If you agree, open this page within 7 days and press the button there:

    {link}

Nothing is sent on before that. If you do not know what this is about, do nothing: you will get no further mail because of it.`,
	}
	linkPersian = linkWords{
		subject: "هدایت نامه\u200cهای {from}: موافقید؟",
		text: "سلام،\n\n" +
			"کسی که نشانی زیر را اداره می\u200cکند\n\n" +
			"    {from}\n\n" +
			"می\u200cخواهد نامه\u200cهای آن برای شما هم به این نشانی فرستاده شود:\n\n" +
			"    {to}\n\n" +
			"اگر موافقید، تا ۷ روز دیگر این صفحه را باز کنید و دکمهٔ آن را بزنید:\n\n" +
			"    {link}\n\n" +
			"پیش از آن چیزی فرستاده نمی\u200cشود. اگر از این موضوع خبر ندارید کاری نکنید؛ نامهٔ دیگری به این سبب به شما نمی\u200cرسد.",
	}
)

func fill(text, from, to, link string) string {
	return strings.NewReplacer("{from}", from, "{to}", to, "{link}", link).Replace(text)
}
