// Prints the code point, in hexadecimal, of every character that does not survive strconv.Quote and JSON, which is how
// Argo writes a parameter into a workflow. Prints the Unicode version of this Go first.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"unicode"
	"unicode/utf8"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintln(out, unicode.Version)
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		var back string
		if err := json.Unmarshal([]byte(strconv.Quote(string(r))), &back); err != nil || back != string(r) {
			fmt.Fprintf(out, "%x\n", r)
		}
	}
}
