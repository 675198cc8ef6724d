package explain

// byEnhanced leads from enhanced status codes to explanations: RFC 3463, and of the registry
// RFC 4954, RFC 5248, RFC 6531 to 6533, RFC 6710, RFC 7293, RFC 7372, RFC 7505, RFC 8616 and
// RFC 8689. "x" is any class; a code with its class goes before.
var byEnhanced = map[string]string{
	"x.1.0":  "address.refused",
	"x.1.1":  "address.unknown",
	"x.1.2":  "domain.unknown",
	"x.1.3":  "address.syntax",
	"x.1.4":  "address.ambiguous",
	"x.1.6":  "address.moved",
	"x.1.7":  "sender.syntax",
	"x.1.8":  "sender.domain",
	"x.1.9":  "relayed.old",
	"x.1.10": "domain.null_mx",

	"x.2.0": "mailbox.other",
	"x.2.1": "mailbox.disabled",
	"4.2.1": "mailbox.busy",
	"x.2.2": "mailbox.full",
	"x.2.3": "message.too_large",
	"x.2.4": "list.broken",

	"x.3.0": "system.other",
	"x.3.1": "system.full",
	"x.3.2": "system.closed",
	"x.3.3": "system.features",
	"x.3.4": "message.too_large",
	"x.3.5": "system.misconfigured",

	"x.4.0": "network.other",
	"x.4.1": "network.no_answer",
	"x.4.2": "network.broken",
	"x.4.3": "network.directory",
	"x.4.4": "network.no_route",
	"x.4.5": "network.congested",
	"x.4.6": "network.loop",
	"x.4.7": "network.expired",

	"x.5.0": "protocol.other",
	"x.5.1": "protocol.other",
	"x.5.2": "protocol.other",
	"x.5.3": "protocol.recipients",
	"x.5.4": "protocol.other",
	"x.5.5": "protocol.other",
	"x.5.6": "protocol.other",

	"x.6.0":  "content.malformed",
	"x.6.1":  "content.type",
	"x.6.2":  "content.conversion",
	"x.6.3":  "content.conversion",
	"x.6.4":  "content.conversion",
	"x.6.5":  "content.conversion",
	"x.6.6":  "content.missing",
	"x.6.7":  "content.eai",
	"x.6.8":  "content.eai",
	"x.6.9":  "content.eai",
	"x.6.10": "content.eai",

	"x.7.0":  "policy.other",
	"x.7.1":  "policy.refused",
	"4.7.1":  "policy.later",
	"x.7.2":  "list.closed",
	"x.7.3":  "crypto.impossible",
	"x.7.4":  "crypto.impossible",
	"x.7.5":  "crypto.failed",
	"x.7.6":  "crypto.failed",
	"x.7.7":  "crypto.integrity",
	"x.7.8":  "login.wrong",
	"x.7.9":  "login.wrong",
	"x.7.10": "tls.required",
	"x.7.11": "tls.required",
	"x.7.12": "login.wrong",
	"x.7.13": "login.disabled",
	"x.7.14": "relay.denied",
	"x.7.15": "priority.low",
	"x.7.16": "message.too_large",
	"x.7.17": "owner.changed",
	"x.7.18": "owner.changed",
	"x.7.19": "owner.changed",
	"x.7.20": "auth.dkim",
	"x.7.21": "auth.dkim",
	"x.7.22": "auth.dkim_author",
	"x.7.23": "auth.spf",
	"x.7.24": "auth.spf_error",
	"x.7.25": "auth.ptr",
	"x.7.26": "auth.failed",
	"x.7.27": "sender.null_mx",
	"x.7.28": "flood",
	"x.7.29": "auth.arc",
	"x.7.30": "tls.required",
}

// byFault is for codes of our own that came without a reply: what failed on the way.
var byFault = map[string]string{
	"4.7.0":  "login.wrong",  // the relay offers no way to log in
	"4.7.5":  "tls.required", // TLS is demanded, and failed
	"4.7.8":  "login.wrong",
	"4.7.11": "login.wrong", // the connection to the relay is in clear
	"5.7.1":  "dropped",     // taken out of the queue by hand
}

// bySubject is for codes whose detail nobody knows.
var bySubject = map[string]string{
	"1": "address.refused",
	"2": "mailbox.other",
	"3": "system.other",
	"4": "network.other",
	"5": "protocol.other",
	"6": "content.malformed",
	"7": "policy.refused",
}

// byCode is for replies without an enhanced code.
var byCode = map[int]string{
	421: "system.closed",
	432: "login.wrong",
	450: "mailbox.busy",
	451: "system.other",
	452: "system.full",
	454: "system.other",
	455: "protocol.other",
	500: "protocol.other",
	501: "protocol.other",
	502: "protocol.other",
	503: "protocol.other",
	504: "protocol.other",
	521: "system.no_mail",
	523: "message.too_large",
	530: "relay.denied",
	535: "login.wrong",
	538: "tls.required",
	550: "address.refused",
	551: "address.moved",
	552: "mailbox.or_size",
	553: "address.syntax",
	554: "policy.refused",
	555: "protocol.other",
	556: "domain.null_mx",
}
