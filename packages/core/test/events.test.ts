import { describe, expect, test, vi } from "vitest";
import { Events } from "../src/events.ts";
import type { AssuranceEvents } from "../src/events.ts";
import { openFleet, until } from "./support/fleet.ts";

const duty = { duty: "watch" };

describe("a listener", () => {
  test("that throws stops neither the others nor the caller: what it throws becomes an error event", () => {
    const events = new Events();
    const errors: AssuranceEvents["error"][] = [];
    const heard: string[] = [];
    const broken = new Error("broken");
    events.on("error", (error) => void errors.push(error));
    events.on("duty.taken", () => {
      throw broken;
    });
    events.on("duty.taken", (event) => void heard.push(event.duty));
    events.emit("duty.taken", duty);
    expect(heard).toEqual(["watch"]);
    expect(errors).toEqual([{ during: "listener of duty.taken", error: broken }]);
  });

  test("that is async and rejects does not end the process: it becomes an error event too", async () => {
    const events = new Events();
    const errors: AssuranceEvents["error"][] = [];
    events.on("error", (error) => void errors.push(error));
    // oxlint-disable-next-line typescript/no-misused-promises -- what a program may well do
    events.on("duty.taken", async () => Promise.reject(new Error("broken")));
    events.emit("duty.taken", duty);
    await until(() => errors.length === 1);
    expect(errors).toMatchObject([{ during: "listener of duty.taken", error: { message: "broken" } }]);
  });

  test("of errors that throws itself causes no flood", () => {
    const events = new Events();
    const broken = vi.fn(() => {
      throw new Error("broken");
    });
    events.on("error", broken);
    events.failed("something", new Error("first"));
    expect(broken).toHaveBeenCalledTimes(1);
  });

  test("hears nothing after its subscription has ended, and ending it twice ends no other", () => {
    const events = new Events();
    const [first, second] = [vi.fn(), vi.fn()];
    const end = events.on("duty.taken", first);
    events.on("duty.taken", second);
    events.emit("duty.taken", duty);
    end();
    end();
    events.emit("duty.taken", duty);
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 2]);
  });

  test("that throws at every event of a recovery does not stop it", async () => {
    const fleet = openFleet();
    const { queue } = fleet;
    const dead = await fleet.start({ handler: () => new Promise(() => {}) });
    queue.add("x", { id: "1" });
    await until(() => queue.get("1")?.state === "held");
    const watcher = await fleet.start();
    for (const event of ["instance.dead", "duty.taken", "orphan.recovered"] as const) {
      watcher.assurance.on(event, () => {
        throw new Error("broken");
      });
    }
    dead.crash();
    await until(() => watcher.told.includes("orphan.recovered"));
    expect(queue.get("1")?.state).toBe("waiting");
    const during = watcher.heard("error").map((error) => error.during);
    expect(during).toEqual(expect.arrayContaining(["listener of instance.dead", "listener of orphan.recovered"]));
    expect((await watcher.assurance.snapshot.overview()).pending).toBe(0);
  });
});

describe("a warning", () => {
  test("is told once, however often it comes", () => {
    const events = new Events();
    const told: string[] = [];
    events.on("warning", ({ message }) => void told.push(message));
    for (const message of ["a", "b", "a", "a"]) events.warn(message);
    expect(told).toEqual(["a", "b"]);
  });

  test("and a failure in the background reach the process's own warnings when nobody listens", () => {
    const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const events = new Events();
    events.warn("no presence");
    events.failed("deep pass", new Error("no answer"));
    events.failed("deep pass", "no answer");
    expect(emitWarning.mock.calls).toEqual([
      ["no presence", "AssuredJobs"],
      ["deep pass: no answer", "AssuredJobs"],
    ]);
    events.on("error", () => {});
    events.on("warning", () => {});
    events.warn("another");
    events.failed("another", new Error("failure"));
    expect(emitWarning).toHaveBeenCalledTimes(2);
    emitWarning.mockRestore();
  });

  test("of a listener that throws is not lost when nobody listens for errors", () => {
    const events = new Events();
    const told: string[] = [];
    events.on("warning", ({ message }) => void told.push(message));
    events.on("duty.taken", () => {
      throw new Error("broken");
    });
    events.emit("duty.taken", duty);
    expect(told).toEqual(["listener of duty.taken: broken"]);
  });
});
