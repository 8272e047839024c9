/** Whether base64 holds certificates in PEM, as a webhook's caBundle does. Pure. */
export const isCertificateBundle = (base64: string): boolean => /-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.test(Buffer.from(base64, 'base64').toString('latin1'))
