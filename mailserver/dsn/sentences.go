package dsn

// sentence is what happened and what to do, in both languages.
type sentence struct{ what, next, whatFA, nextFA string }

func (s sentence) in(language string) (what, next string) {
	if language == "fa" {
		return s.whatFA, s.nextFA
	}
	return s.what, s.next
}

// byReason are the sentences for what is no answer of another server.
var byReason = map[string]sentence{
	"dns": {"It could not be found out where mail for this domain goes: the DNS did not answer.", "Check the part of the address after @, and send the message again later.",
		"معلوم نشد نامه\u200cهای این دامنه کجا می\u200cروند: DNS پاسخ نداد.", "بخش بعد از @ نشانی را بررسی کنید و نامه را دیرتر دوباره بفرستید."},
	"no-domain": {"The domain of this address does not exist, or takes no mail.", "Check the part of the address after @.",
		"دامنهٔ این نشانی وجود ندارد یا ایمیل نمی\u200cپذیرد.", "بخش بعد از @ نشانی را بررسی کنید."},
	"null-mx": {"The domain of this address says that it takes no mail at all.", "Ask the recipient for another address.",
		"دامنهٔ این نشانی اعلام کرده است که هیچ ایمیلی نمی\u200cپذیرد.", "از گیرنده نشانی دیگری بگیرید."},
	"no-host": {"The mail server that the domain names cannot be found.", "Tell the recipient by another way that mail to this domain does not arrive.",
		"سرور ایمیلی که دامنه معرفی کرده است پیدا نمی\u200cشود.", "از راه دیگری به گیرنده خبر دهید که نامه\u200cها به این دامنه نمی\u200cرسند."},
	"loop": {"The domain leads to this server, and this server does not serve it.", "Check the address. If the domain is yours, add it to the panel and prove that it is yours, or correct its MX record.",
		"این دامنه به همین سرور اشاره می\u200cکند، ولی اینجا تعریف نشده است.", "نشانی را بررسی کنید. اگر دامنه از آن شماست، آن را در پنل اضافه و مالکیت آن را ثابت کنید، یا رکورد MX آن را درست کنید."},
	"private": {"The domain leads to an address that is not on the internet.", "Tell the recipient by another way that the domain's MX record is wrong.",
		"این دامنه به نشانی\u200cای اشاره می\u200cکند که در اینترنت نیست.", "از راه دیگری به گیرنده خبر دهید که رکورد MX دامنه نادرست است."},
	"connect": {"The recipient's mail server cannot be reached.", "Send the message again later, or reach the recipient by another way.",
		"به سرور ایمیل گیرنده نمی\u200cتوان وصل شد.", "نامه را دیرتر دوباره بفرستید یا از راه دیگری با گیرنده تماس بگیرید."},
	"timeout": {"The recipient's mail server did not answer in time.", "Send the message again later, or reach the recipient by another way.",
		"سرور ایمیل گیرنده به\u200cموقع پاسخ نداد.", "نامه را دیرتر دوباره بفرستید یا از راه دیگری با گیرنده تماس بگیرید."},
	"lost": {"The recipient's mail server broke off the connection.", "Send the message again later, or reach the recipient by another way.",
		"سرور ایمیل گیرنده ارتباط را قطع کرد.", "نامه را دیرتر دوباره بفرستید یا از راه دیگری با گیرنده تماس بگیرید."},
	"tls": {"The recipient's domain demands a secured connection, and none could be made.", "Tell the recipient by another way: the certificate or the policy of their mail server is at fault.",
		"دامنهٔ گیرنده ارتباط رمزگذاری\u200cشده می\u200cخواهد، ولی چنین ارتباطی برقرار نشد.", "از راه دیگری به گیرنده خبر دهید: گواهی یا سیاست سرور ایمیل او اشکال دارد."},
	"protocol": {"The recipient's mail server gave answers that make no sense.", "Reach the recipient by another way.",
		"پاسخ\u200cهای سرور ایمیل گیرنده قابل فهم نبود.", "از راه دیگری با گیرنده تماس بگیرید."},
	"login": {"The server through which mail leaves here did not let us log in.", "Tell the administrator of your mail server.",
		"سروری که نامه\u200cها از راه آن فرستاده می\u200cشوند ورود ما را نپذیرفت.", "به مدیر سرور ایمیل خود خبر دهید."},
	"message": {"The message could not be read on this server.", "Send it again. If that does not help, tell the administrator of your mail server.",
		"نامه در این سرور خوانده نشد.", "آن را دوباره بفرستید. اگر فایده نداشت، به مدیر سرور ایمیل خود خبر دهید."},
	"route": {"It could not be found out how the message is to leave this server.", "Tell the administrator of your mail server.",
		"معلوم نشد نامه باید از چه راهی از این سرور فرستاده شود.", "به مدیر سرور ایمیل خود خبر دهید."},
	"abandoned": {"The attempts to deliver the message were broken off on this server.", "Send the message again.",
		"تلاش برای تحویل نامه در این سرور نیمه\u200cکاره ماند.", "نامه را دوباره بفرستید."},
	"literal": {"Mail to an address that has numbers in brackets after @ is not sent.", "Ask the recipient for an address with a domain name.",
		"به نشانی\u200cای که بعد از @ عدد در کروشه دارد ایمیل فرستاده نمی\u200cشود.", "از گیرنده نشانی\u200cای با نام دامنه بگیرید."},
	"size": {"The message is larger than the recipient's mail server takes.", "Send it without large attachments, or send a link to them.",
		"نامه بزرگ\u200cتر از آن است که سرور ایمیل گیرنده بپذیرد.", "آن را بدون پیوست\u200cهای بزرگ بفرستید یا به\u200cجای پیوست پیوند آن را بفرستید."},
	"dropped": {"An administrator of this server took the message out of the queue before it was delivered.", "Ask the administrator of your mail server why.",
		"مدیر این سرور نامه را پیش از تحویل از صف برداشت.", "دلیل آن را از مدیر سرور ایمیل خود بپرسید."},
}
