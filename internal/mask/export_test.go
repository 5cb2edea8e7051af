package mask

// Forms returns all that is looked for.
func Forms(values ...string) (all []string) {
	for _, v := range values {
		all = append(all, forms(v)...)
	}
	return all
}
