/** A name server outside the cluster, as a program: `name-server.ts ADDRESS` knows outside.example and www.outside.example, and that all else does not exist. */
import { createSocket } from 'node:dgram'
import { decode, encode, type Answer } from 'dns-packet'

const KNOWN: Record<string, Answer> = {
  'outside.example': { type: 'A', name: 'outside.example', ttl: 60, data: '192.0.2.7' },
  'www.outside.example': { type: 'CNAME', name: 'www.outside.example', ttl: 60, data: 'outside.example' },
}
/** RCODE 3. */
const NXDOMAIN = 3

const socket = createSocket('udp4')
socket.on('message', (message, from) => {
  const query = decode(message)
  const [question] = query.questions ?? []
  if (!question) return
  const answers: Answer[] = []
  for (let record = KNOWN[question.name.toLowerCase()]; record; record = record.type === 'CNAME' ? KNOWN[record.data] : undefined) {
    if (record.type === 'CNAME' || record.type === question.type) answers.push(record)
  }
  const isKnown = question.name.toLowerCase() in KNOWN
  console.log(`${question.type} ${question.name}`)
  socket.send(encode({ type: 'response', id: query.id ?? 0, flags: 0x0180 | (isKnown ? 0 : NXDOMAIN), questions: [question], answers }), from.port, from.address)
})
socket.bind(53, process.argv[2], () => { console.log('serving') })
