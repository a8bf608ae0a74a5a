// A certified OpenID provider (panva's oidc-provider) that signs in whomever the test says, without a page.
// Speaks on standard output: {"issuer": …} once it listens. POST /redirect {redirect} says where it may send back
// to, which begins it; POST /next {account, claims} chooses who is next.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, settings] = process.argv.slice(2);
const found = createRequire(`${folder}/`).resolve("oidc-provider");
const { default: Provider } = await import(pathToFileURL(found).href);
const { client, secret, inIdToken } = JSON.parse(settings);

let next = { account: "nobody", claims: {} };
let provider;
const server = createServer(async (request, response) => {
  if (request.method === "POST" && ["/next", "/redirect"].includes(request.url)) {
    let body = "";
    for await (const part of request) body += part;
    if (request.url === "/next") next = JSON.parse(body);
    else provider = providerFor(JSON.parse(body).redirect);
    response.end("{}");
    return;
  }
  if (request.url.startsWith("/interaction/")) {
    const { params, prompt, session } = await provider.interactionDetails(request, response);
    if (next.refuses) {
      await provider.interactionFinished(request, response, { error: "access_denied" }, { mergeWithLastSubmission: false });
      return;
    }
    const accountId = session?.accountId ?? next.account;
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const result = prompt.name === "login"
      ? { login: { accountId: next.account } }
      : { consent: { grantId: await grant.save() } };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
    return;
  }
  provider.callback()(request, response);
});

function providerFor(redirect) {
  return new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [{ client_id: client, client_secret: secret, redirect_uris: [redirect], grant_types: ["authorization_code"], response_types: ["code"] }],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups", "realm_access"] },
    conformIdTokenClaims: !inIdToken,
    cookies: { keys: ["only for tests"] },
    features: { devInteractions: { enabled: false } },
    findAccount: async (_context, id) => ({ accountId: id, claims: async () => ({ sub: id, ...next.claims }) }),
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    renderError: async (context, out) => { context.type = "json"; context.body = out; },
  });
}

server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
