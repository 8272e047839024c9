// What upstream's suite uses of the image sig-storage/hostpathplugin for DRA drivers: its proxy mode. Who connects to the socket of a driver is
// joined to a connection that the driver, which runs in the suite, has opened beforehand to a port of the pod.
// Of that port as many connections are taken as the suite opens: each waits for one to the socket.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"os"
	"strings"
)

// The suite opens ten.
const waitingMax = 16

func main() {
	endpoint := flag.String("endpoint", "", "path of the socket")
	proxyEndpoint := flag.String("proxy-endpoint", "", "tcp://:PORT")
	flag.Int("v", 0, "as klog's; nothing more is told")
	flag.Parse()
	path := strings.TrimPrefix(*endpoint, "unix://")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	drivers, err := net.Listen("tcp", strings.TrimPrefix(*proxyEndpoint, "tcp://"))
	if err != nil {
		log.Fatal(err)
	}
	users, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	waiting := make(chan net.Conn, waitingMax)
	go func() {
		for {
			driver, err := drivers.Accept()
			if err != nil {
				log.Fatal(err)
			}
			waiting <- driver
		}
	}()
	for {
		user, err := users.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go join(user, <-waiting)
	}
}

// join ends both when either ends: the suite then opens another.
func join(user, driver net.Conn) {
	ended := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go pass(driver, user)
	go pass(user, driver)
	<-ended
	_ = user.Close()
	_ = driver.Close()
}
