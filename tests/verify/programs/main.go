// Asks the snippet of the documentation about each token that comes in a line.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"game.example/server/tokens"
)

func main() {
	verifier := tokens.New(context.Background())
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		player, err := verifier.Player(strings.TrimSpace(line))
		switch {
		case err == nil:
			fmt.Println("player " + player)
		case errors.Is(err, tokens.ErrUnavailable):
			fmt.Println("unavailable")
		default:
			fmt.Println("refused")
		}
	}
}
