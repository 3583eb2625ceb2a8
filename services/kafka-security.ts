// What: broker listeners with SASL and TLS, and the credentials and certificate that clients need for them.
// Why: a client's security settings are proven by a broker that refuses the wrong ones.
// Invariant: made for one folder, on 127.0.0.1; nothing here is a secret worth keeping.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tool } from './install.ts';

export interface SaslListener {
  /** SASL_PLAINTEXT with PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER (see `oauthToken`). */
  readonly brokers: string;
  readonly username: string;
  readonly password: string;
}

export interface TlsListener {
  readonly brokers: string;
  /** PEM text and file of the certificate that the broker shows, which signs itself. */
  readonly ca: string;
  readonly caFile: string;
}

const USERNAME = 'zeptodb';
const PASSWORD = 'zeptodb-on-this-machine-only';
const KEYSTORE_PASSWORD = 'zeptodb-keystore';

/** Broker properties of the listener named SASL. */
export const SASL_PROPERTIES: Readonly<Record<string, string>> = {
  'listener.name.sasl.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
  'listener.name.sasl.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USERNAME}="${PASSWORD}";`,
  'listener.name.sasl.scram-sha-256.sasl.jaas.config':
    'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  'listener.name.sasl.scram-sha-512.sasl.jaas.config':
    'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  'listener.name.sasl.oauthbearer.sasl.jaas.config':
    'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
};

/** Arguments of StorageTool format that store the user's SCRAM credentials. */
export const SCRAM_FORMAT_ARGS: readonly string[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap(
  (mechanism) => ['--add-scram', `${mechanism}=[name=${USERNAME},password=${PASSWORD}]`],
);

export function saslListener(brokers: string): SaslListener {
  return { brokers, username: USERNAME, password: PASSWORD };
}

/** A token that OAUTHBEARER accepts until it expires: unsigned, as brokers take it for development. */
export function oauthToken(lifetimeSeconds: number): string {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const claims = { sub: USERNAME, iat: nowSeconds, exp: nowSeconds + lifetimeSeconds };
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  return `${encode({ alg: 'none' })}.${encode(claims)}.`;
}

/** Broker properties of the listener named TLS. */
export function tlsProperties(dir: string): Record<string, string> {
  return {
    'listener.name.tls.ssl.keystore.type': 'PKCS12',
    'listener.name.tls.ssl.keystore.location': join(dir, 'keystore.p12'),
    'listener.name.tls.ssl.keystore.password': KEYSTORE_PASSWORD,
    'listener.name.tls.ssl.key.password': KEYSTORE_PASSWORD,
  };
}

/** Makes the certificate for 127.0.0.1 and localhost, once for the folder. */
export async function tlsListener(dir: string, brokers: string): Promise<TlsListener> {
  const caFile = join(dir, 'ca.pem');
  const read = (): Promise<string> => readFile(caFile, 'utf8');
  const store = ['-keystore', join(dir, 'keystore.p12'), '-storepass', KEYSTORE_PASSWORD, '-alias', 'broker'];
  const ca = await read().catch(async () => {
    const subject = ['-dname', 'CN=localhost', '-ext', 'SAN=IP:127.0.0.1,DNS:localhost', '-validity', '3650'];
    const purpose = "make the broker's certificate";
    await tool(
      'keytool',
      ['-genkeypair', '-keyalg', 'EC', '-storetype', 'PKCS12', ...subject, ...store],
      purpose,
    );
    await tool('keytool', ['-exportcert', '-rfc', '-file', caFile, ...store], purpose);
    return read();
  });
  return { brokers, ca, caFile };
}
