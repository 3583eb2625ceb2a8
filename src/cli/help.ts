// What: the texts of the command line: what there is, how to start, what went wrong.
// Why: the first minute with a tool is spent here.
// Invariant: every example works as printed (against a broker at localhost:9092); no line is longer than 100 columns.

import { settingsHelp } from '../config/describe.ts';

const EXIT_STATUS = `Exit status: 0 done, 1 failed while running, 2 wrong usage or configuration.`;

export const overviewHelp = `zepto – market ticks from Kafka: newest ticks in SQL, every tick exactly once in Parquet on S3

  zepto demo                    See it work: own broker, own S3 server, a stream of ticks
  zepto serve --brokers localhost:9092 --group ticks --topics trades=ticks
                                Consume a topic and answer on http://127.0.0.1:8123

Commands:
  serve      Consume topics, keep ticks queryable, write them to disk and S3, answer over HTTP
  demo       Start services and a stream of ticks, and run the engine on them
  verify     Prove from the bucket or the disk that no record is missing or doubled
  inspect    Show a commit record, a plan, a .bin header or a Parquet footer
  version    Print the version

\`zepto COMMAND --help\` tells more.
${EXIT_STATUS}
`;

const SERVE_EXAMPLES = `Examples:
  # Ticks in memory, queryable
  zepto serve --brokers localhost:9092 --group ticks --topics trades=ticks,quotes=quotes

  # … and every tick exactly once in Hive Parquet on S3 (AWS credentials as usual)
  zepto serve --brokers localhost:9092 --group ticks --topics trades=ticks \\
    --cold-tier-enabled --cold-tier-s3-bucket my-ticks --cold-tier-s3-region eu-central-1

  # … on MinIO, with local files as well
  zepto serve --brokers localhost:9092 --group ticks --topics trades=ticks --hdb-dir ./hdb \\
    --cold-tier-enabled --cold-tier-format both --cold-tier-s3-bucket my-ticks \\
    --cold-tier-s3-endpoint-url http://127.0.0.1:9000 --cold-tier-s3-use-path-style

  # The same settings from a file; flags and environment variables override it
  zepto serve --config zepto.yaml --print-config`;

export const serveHelp = (program: string): string => `${program} – consume ticks from Kafka and serve them

${SERVE_EXAMPLES.replaceAll('zepto serve', program)}

Every setting is a flag, an environment variable (in brackets) and a key of the config file (the
flag without dashes). Flags beat the environment, which beats the file. BYTES take a unit (64MiB,
1GB), so do DURATIONs (500ms, 5s, 1h). A secret is read from its variable or from the file that its
flag names.

  --config FILE               Config file, YAML or JSON; tables are declared there. [ZEPTO_CONFIG]
  --print-config              Print the effective settings and where each comes from, then exit.
  -h, --help                  This text.
${settingsHelp()}

${EXIT_STATUS}
`;

export const serveNeeds = (
  program: string,
): string => `${program} needs three things: brokers, a consumer group, and topics.

  ${program} --brokers localhost:9092 --group ticks --topics trades=ticks

To write the ticks to S3 as well, add

    --cold-tier-enabled --cold-tier-s3-bucket my-ticks

No broker at hand? \`zepto demo\` brings its own. All settings: ${program} --help
`;
