package store

// Translate is how a statement reaches a server, and the order of its arguments where it is not theirs.
func Translate(query string, dollar bool) (text string, order []int) {
	s := translate(query, dollar)
	return s.text, s.order
}

// JudgePostgres and JudgeMySQL say what is wrong with the settings of a server.
func JudgePostgres(have map[string]string) error { return judgePostgres(have) }

func JudgeMySQL(have map[string]string) error {
	_, err := judgeMySQL(have)
	return err
}
