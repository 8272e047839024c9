/** From the configuration to the transformer of each resource. */
import type { Random } from '#base/random.ts'
import type { EncryptionConfig, ProviderConfig } from './configuration.ts'
import type { TransformerTable } from './sealed-store.ts'
import { aesCbc, aesGcm, ENCRYPTED_PREFIX, identity, keyedTransformer, prefixTransformers, secretbox, type PrefixedTransformer, type Transformer } from './transformer.ts'

/** Made once per KMS of the configuration; kept as long as it is in use. */
export type KmsFactory = (provider: Extract<ProviderConfig, { kind: 'kms' }>) => Transformer

export function transformerTable(config: EncryptionConfig, random: Random, kms: KmsFactory): TransformerTable {
  const entries = config.resources.map((r) => ({ names: new Set(r.resources), transformer: prefixTransformers(r.providers.map((p) => providerTransformer(p, random, kms))) }))
  return {
    // In the order of the file: what is to be left out of a wildcard stands before it.
    of: (group, resource) => entries.find(({ names }) => names.has(group === '' ? resource : `${resource}.${group}`) || names.has(`*.${group}`) || names.has('*.*'))?.transformer,
  }
}

function providerTransformer(provider: ProviderConfig, random: Random, kms: KmsFactory): PrefixedTransformer {
  switch (provider.kind) {
    case 'identity': return { prefix: '', transformer: identity }
    case 'aesgcm': return { prefix: `${ENCRYPTED_PREFIX}aesgcm:v1:`, transformer: keyedTransformer(provider.keys, 'AES', aesGcm(random)) }
    case 'aescbc': return { prefix: `${ENCRYPTED_PREFIX}aescbc:v1:`, transformer: keyedTransformer(provider.keys, 'AES', aesCbc(random)) }
    case 'secretbox': return { prefix: `${ENCRYPTED_PREFIX}secretbox:v1:`, transformer: keyedTransformer(provider.keys, 'Secretbox', secretbox(random)) }
    case 'kms': return { prefix: `${ENCRYPTED_PREFIX}kms:v2:${provider.name}:`, transformer: kms(provider) }
  }
}
