// pgx: `DATABASE_URL=… go run main.go [SCRIPT …]` with Debian's packages (GO111MODULE=off, GOPATH=/usr/share/gocode). The scripts
// and the marks between their steps are those of stage.py: a line for each step, and a line on standard input to go on.
package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v4"
)

const (
	table = "driver_things"
	read  = "select word from " + table + " where id = $1"
	write = "update " + table + " set seen = $1 where id = $2"
	seen  = "select min(seen) from " + table + " where id between $1 and $2"
	first = 11
	last  = 20
)

var (
	offered = []string{"cold", "again", "transaction", "ten", "batch"}
	answers = bufio.NewReader(os.Stdin)
	ctx     = context.Background()
)

type querier interface {
	QueryRow(ctx context.Context, sql string, arguments ...interface{}) pgx.Row
}

func expectWord(from querier, number int) error {
	var word string
	if err := from.QueryRow(ctx, read, number).Scan(&word); err != nil {
		return err
	}
	if word != fmt.Sprintf("word %d", number) {
		return fmt.Errorf("%q instead of word %d", word, number)
	}
	return nil
}

func expectSeen(conn *pgx.Conn, from, to, value int) error {
	var got int
	if err := conn.QueryRow(ctx, seen, from, to).Scan(&got); err != nil {
		return err
	}
	if got != value {
		return fmt.Errorf("%d instead of %d", got, value)
	}
	return nil
}

func transaction(conn *pgx.Conn, value int) error {
	return conn.BeginFunc(ctx, func(tx pgx.Tx) error {
		if err := expectWord(tx, 1); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, write, value, 1)
		return err
	})
}

func ten(conn *pgx.Conn) error {
	for number := first; number <= last; number++ {
		if err := expectWord(conn, number); err != nil {
			return err
		}
	}
	return nil
}

func batch(conn *pgx.Conn, value int) error {
	queued := &pgx.Batch{}
	for number := first; number <= last; number++ {
		queued.Queue(write, value, number)
	}
	return conn.SendBatch(ctx, queued).Close()
}

func work(conn *pgx.Conn, script string, value int) error {
	switch script {
	case "cold", "again":
		return expectWord(conn, 7)
	case "transaction":
		return transaction(conn, value)
	case "ten":
		return ten(conn)
	default:
		return batch(conn, value)
	}
}

func check(conn *pgx.Conn, script string, value int) error {
	switch script {
	case "transaction":
		return expectSeen(conn, 1, 1, value)
	case "batch":
		return expectSeen(conn, first, last, value)
	}
	return nil
}

func play(script string) error {
	value := rand.Intn(1 << 30)
	url := os.Getenv("DATABASE_URL")
	if script == "again" {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		if err = expectWord(conn, 2); err != nil {
			return err
		}
		conn.Close(ctx)
	}
	mark(script, "begin")
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	mark(script, "connected")
	if err = work(conn, script, value); err != nil {
		return err
	}
	mark(script, "done")
	mark(script, "released")
	return check(conn, script, value)
}

func mark(script, step string) {
	fmt.Println(script, step)
	answers.ReadString('\n')
}

func main() {
	rand.Seed(time.Now().UnixNano())
	asked, status := os.Args[1:], 0
	if len(asked) == 0 {
		asked = offered
	}
	for _, script := range asked {
		if !strings.Contains(" "+strings.Join(offered, " ")+" ", " "+script+" ") {
			continue
		}
		if err := play(script); err != nil {
			mark(script, "fails: "+strings.Join(strings.Fields(err.Error()), " "))
			status = 1
		}
	}
	os.Exit(status)
}
