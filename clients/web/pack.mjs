// Compresses what the builds made, in place: name.js becomes name.js.gz where that is smaller. The binary embeds and serves
// the compressed bytes; the pages themselves stay as they are.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, constants } from 'node:zlib'

let before = 0
let after = 0
for (const app of ['dist/app', 'dist/console']) {
  for (const entry of await readdir(app, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === 'index.html' || entry.name.endsWith('.gz')) continue
    const path = join(entry.parentPath, entry.name)
    const whole = await readFile(path)
    const small = gzipSync(whole, { level: constants.Z_BEST_COMPRESSION })
    before += whole.length
    after += Math.min(whole.length, small.length)
    if (small.length >= whole.length) continue
    await writeFile(`${path}.gz`, small)
    await rm(path)
  }
}
console.log(`packed ${(before / 1e6).toFixed(1)} MB into ${(after / 1e6).toFixed(1)} MB`)
