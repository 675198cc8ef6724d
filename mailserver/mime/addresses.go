package mime

// Addresses returns the addresses in the value of an address field (Field.RawValue), at most
// max, read as tolerantly as the envelope is. Groups are flattened.
func Addresses(value []byte, max int) []Address {
	budget := max
	all := parseAddresses(nil, value, &arena{left: MaxEnvelope}, &budget)
	kept := all[:0]
	for _, a := range all {
		if a.Host != nil {
			kept = append(kept, a)
		}
	}
	return kept
}
