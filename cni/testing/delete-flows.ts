/** Deletes the UDP flows served from one address and port: `node delete-flows.ts <ip> <port>`, in a namespace that a test enters. Only tests run this. */
import { deleteUdpFlows } from '../netlink/conntrack.ts'

const [, , ip, port] = process.argv
const seen: string[] = []
const deleted = await deleteUdpFlows((flow) => {
  seen.push(`${flow.original.destination}:${flow.original.destinationPort}=>${flow.reply.source}:${flow.reply.sourcePort}`)
  return flow.reply.source === ip && flow.reply.sourcePort === Number(port)
})
process.stdout.write(`${JSON.stringify({ deleted, seen: seen.sort((a, b) => a.localeCompare(b)) })}\n`)
