package watchdog

// ParseLine reads a line and writes what it read.
func ParseLine(line string) (string, error) {
	m, err := parse(line)
	if err != nil {
		return "", err
	}
	return m.line(), nil
}
