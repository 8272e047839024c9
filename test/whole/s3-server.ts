/** An S3 server in a process of its own, for the hosts of a lab: `node s3-server.ts PORT`. Tells what it holds whenever that changes. */
import { createServer, connect } from 'node:net'
import { startFakeS3 } from '#server/snapshot/s3/s3-server.test-support.ts'

const s3 = await startFakeS3({ bucket: 'backups', region: 'us-east-1', keys: { AKIASKIFF: 'not-to-be-seen' } })
const state = { said: '' }
const server = createServer((socket) => {
  const to = connect(s3.port, '127.0.0.1')
  socket.on('error', () => to.destroy())
  to.on('error', () => socket.destroy())
  socket.pipe(to).pipe(socket)
  to.on('close', () => {
    const holds = [...s3.objects.keys()].sort().join(' ')
    if (holds !== state.said) process.stdout.write(`holds ${holds}\n`)
    state.said = holds
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('listening\n'))
