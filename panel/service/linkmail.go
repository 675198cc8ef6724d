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
		subject: "هدایت نامه‌های {from}: موافقید؟",
		text: `سلام،

کسی که نشانی زیر را اداره می‌کند

    {from}

می‌خواهد نامه‌های آن برای شما هم به این نشانی فرستاده شود:

    {to}

اگر موافقید، تا ۷ روز دیگر این صفحه را باز کنید و دکمهٔ آن را بزنید:

    {link}

پیش از آن چیزی فرستاده نمی‌شود. اگر از این موضوع خبر ندارید کاری نکنید؛ نامهٔ دیگری به این سبب به شما نمی‌رسد.`,
	}
)

func fill(text, from, to, link string) string {
	return strings.NewReplacer("{from}", from, "{to}", to, "{link}", link).Replace(text)
}
