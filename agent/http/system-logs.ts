/** `/logs/`: files of the machine's log directory, as upstream's file server shows them. Nothing outside it is read, whatever links are in it. */
import { createReadStream } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CodedError, hasCode } from '#base/errors.ts'

/** `path`: `/logs/<below the directory>`, still encoded. */
export async function sendSystemLog(directory: string, path: string, response: ServerResponse): Promise<void> {
  const wanted = decodeURIComponent(path).replace(/^\/logs\/?/, '')
  const [root, file] = [await found(directory), await found(join(directory, wanted))]
  if (root === undefined || file === undefined || (file !== root && !file.startsWith(root + sep))) throw new CodedError('POD_NOT_FOUND', '404 page not found')
  const info = await stat(file)
  if (info.isDirectory()) {
    const entries = await readdir(file, { withFileTypes: true })
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(`<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${entries.map((e) => (e.isDirectory() ? `${e.name}/` : e.name)).toSorted().map((name) => `<a href="${encodeURI(name)}">${escaped(name)}</a>\n`).join('')}</pre>\n`)
    return
  }
  if (!info.isFile()) throw new CodedError('POD_NOT_FOUND', '404 page not found')
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.setHeader('last-modified', info.mtime.toUTCString())
  // It may grow meanwhile: what there was is sent.
  if (info.size === 0) {
    response.end()
    return
  }
  await pipeline(createReadStream(file, { end: info.size - 1 }), response)
}

async function found(path: string): Promise<string | undefined> {
  try {
    return await realpath(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].some((code) => hasCode(error, code))) return undefined
    throw error
  }
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&#34;')
