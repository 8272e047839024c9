/**
 * Registries for a lab host that misbehave until they are told to mend their ways: `node misbehaving-registry.ts DIRECTORY`.
 * One for each fault, each with a busybox image of its own (shared layers would be shared troubles), at the address in
 * DIRECTORY/<fault>, which serves it under any name:
 *   missing  does not exist        hanging  sends half of a layer, then nothing
 *   wrong    serves other bytes than the digest says
 * until there is a file DIRECTORY/mended-<fault>.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildImage, busyboxLayer, type BuiltImage } from './build-image.ts'
import { startFaultRegistry } from './fault-registry.ts'

const directory = process.argv[2] ?? '.'

type Misbehave = (request: IncomingMessage, response: ServerResponse, layer: BuiltImage['layers'][number]) => boolean

const FAULTS: Readonly<Record<string, Misbehave>> = {
  missing(request, response) {
    response.writeHead(404).end(JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }))
    return true
  },
  hanging(request, response, layer) {
    if (!request.url?.includes(layer.digest)) return false
    response.writeHead(200, { 'Content-Length': layer.bytes.length })
    response.write(layer.bytes.subarray(0, layer.bytes.length / 2))
    return true
  },
  wrong(request, response, layer) {
    if (!request.url?.includes(layer.digest)) return false
    response.writeHead(200, { 'Content-Length': layer.bytes.length })
    response.end(Buffer.from(layer.bytes).reverse())
    return true
  },
}

for (const [name, misbehave] of Object.entries(FAULTS)) {
  const image = await buildImage(join(directory, `image-${name}`), { layers: [[...busyboxLayer(), { name: 'etc/fault', content: name }]], config: { Cmd: ['sh'] } })
  const layer = image.layers[0]
  if (!layer) throw new Error('the image has no layer')
  const registry = await startFaultRegistry(image, (request, response) => !existsSync(join(directory, `mended-${name}`)) && misbehave(request, response, layer))
  writeFileSync(join(directory, `${name}.new`), registry.host)
  renameSync(join(directory, `${name}.new`), join(directory, name))
}
