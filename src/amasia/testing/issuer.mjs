// An issuer of OpenID Connect for tests: oidc-provider, certified, with people from a file that may change meanwhile.
// node issuer.mjs FOLDER-OF-THE-PACKAGE PORT PEOPLE.json CLIENT-ID CLIENT-SECRET REDIRECT-URI…
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [, , folder, port, people, id, secret, ...redirects] = process.argv;
const { Provider } = await import(pathToFileURL(`${folder}/lib/index.js`).href);
const known = () => JSON.parse(readFileSync(people, 'utf8'));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: id, client_secret: secret, redirect_uris: redirects }],
  claims: { openid: ['sub'], email: ['email'], profile: ['preferred_username'], groups: ['groups'] },
  pkce: { required: () => true },
  ttl: { Session: 600, Grant: 600, Interaction: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
  cookies: { keys: [secret] },
  async findAccount(_, sub) {
    return { accountId: sub, async claims() { return { sub, ...known()[sub] }; } };
  },
});
provider.on('server_error', (_, error) => console.error(error));
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
