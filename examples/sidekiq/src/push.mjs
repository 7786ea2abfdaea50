/* Pushes jobs as Ruby would. They run in Node or in Ruby: whoever works on their queue. */
import { activeJob, keywords, SidekiqClient } from "@assured-jobs/adapter-sidekiq";

const client = new SidekiqClient({ redis: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" });

await client.push({ class: "HardJob", queue: "node", args: ["bob", 5], retry: 5 });
await client.performIn(2, { class: "HardJob", queue: "node", args: ["ada", 3] });
await client.push(activeJob("ReportJob", [keywords({ month: "May" })], { queue: "reports" }));
await client.close();
