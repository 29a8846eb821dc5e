// The peer gorilla/websocket: echoes, or tells everyone what one says (argument "bcast").
// Its first line on standard output is JSON: port and version. It ends with its standard input.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"

	"github.com/gorilla/websocket"
)

const limit = 1 << 24

// version of gorilla/websocket, set by the linker.
var version = "of unknown version"

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

var (
	lock    sync.Mutex
	members []*websocket.Conn
)

func echo(connection *websocket.Conn) {
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil {
			return
		}
		if connection.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func bcast(connection *websocket.Conn) {
	lock.Lock()
	members = append(members, connection)
	connection.WriteMessage(websocket.TextMessage, []byte("joined"))
	lock.Unlock()
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(kind, message) // framed once for all
		if err != nil {
			return
		}
		lock.Lock()
		for _, member := range members {
			member.WritePreparedMessage(prepared)
		}
		lock.Unlock()
	}
}

func main() {
	handle := echo
	if len(os.Args) > 1 && os.Args[1] == "bcast" {
		handle = bcast
	}
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		connection, err := upgrader.Upgrade(writer, request, nil)
		if err != nil {
			return
		}
		defer connection.Close()
		connection.SetReadLimit(limit)
		handle(connection)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	fmt.Printf("{\"port\": %d, \"version\": \"gorilla/websocket %s, %s\"}\n", port, version, runtime.Version())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	panic(http.Serve(listener, nil))
}
