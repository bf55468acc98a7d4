// A mail server for `npm start`: `node dev/mail/main.ts <smtp port> <http port>`. Its page is JSON: the mails that came, the oldest first.
import { createServer } from "node:http";
import { Mailbox } from "./mailbox.ts";

const [smtp, http] = process.argv.slice(2).map(Number);
if (!smtp || !http) throw new Error("say two ports: node dev/mail/main.ts 1025 8025");

const mailbox = await Mailbox.start(smtp);
const page = createServer((_request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(mailbox.mails));
});
page.listen(http, "127.0.0.1");
process.on("SIGTERM", () => {
  page.close();
  page.closeAllConnections();
  void mailbox.close();
});
