// What: the container's health check: exit code 0 when /health answers 200.
// Why: the image has neither curl nor wget, and Node is there.
// Invariant: it asks this very container, so the certificate's name and issuer do not matter.

const { ZEPTO_PORT: port = '8123', ZEPTO_TLS_CERT: certificate } = process.env;
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

const ask = (scheme) => fetch(`${scheme}://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(2_500) });

// A certificate that the config file names is not known here: what does not answer as HTTP is asked by TLS.
ask(certificate ? 'https' : 'http')
  .catch(() => ask('https'))
  .then(
    (response) => process.exit(response.ok ? 0 : 1),
    () => process.exit(1),
  );
