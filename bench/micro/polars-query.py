# What: the questions of query.ts as a Polars user asks them, lazily, over frames in memory.
# Why: Polars is what many would use in the place of a tick database.
# Invariant: the same rows by the same integer formulas; in time order beforehand, as joins and windows of Polars want them, for which
# nothing is counted; of its two engines the one that is faster on the question.

import json
import statistics
import sys
import time

import polars as pl
from polars import col

world = json.loads(sys.argv[1])
rows, step, start = world["rows"], world["stepNs"], world["startNs"]
first, end = world["fromNs"], world["toNs"]
names = pl.Enum(world["symbols"])
ENGINES = ("in-memory", "streaming")


def frame(table):
    i = col("i")
    late = pl.when((i % 1000 == 7) & (i * step > 5_000_000_000)).then(5_000_000_000).otherwise(0)
    return (
        pl.int_range(rows, dtype=pl.Int64, eager=True)
        .alias("i")
        .to_frame()
        .lazy()
        .select(
            ((i * 40_503 + 17) % 65_537 % len(world["symbols"])).cast(pl.UInt8).cat.to(names).alias("symbol"),
            (start + i * step + i * 31 % 97 + table["phaseNs"] - late).alias("timestamp"),
            *[
                (of["offset"] + (i * of["factor"] + 11) % of["modulus"]).alias(of["name"])
                for of in table["columns"]
            ],
        )
        .sort("timestamp")
        .collect()
        .lazy()
    )


trades, quotes = (frame(table) for table in world["tables"])
price, volume, timestamp, one = col("price"), col("volume"), col("timestamp"), col("symbol") == "SYM07"
vwap = ((price * volume).sum() / volume.sum() / 1e4).alias("vwap")
minutes = (timestamp >= first) & (timestamp < end)
bar = (timestamp - timestamp % 300_000_000_000).alias("bar")
ohlcv = [
    (price.first() / 1e4).alias("open"),
    (price.max() / 1e4).alias("high"),
    (price.min() / 1e4).alias("low"),
    (price.last() / 1e4).alias("close"),
    volume.sum(),
]
mean = price.rolling_mean(20, min_samples=1).over("symbol").alias("mean")

questions = {
    "count": trades.select(pl.len()),
    "count of one symbol": trades.filter(one).select(pl.len()),
    "vwap by symbol": trades.group_by("symbol").agg(vwap),
    "vwap of one symbol": trades.filter(one).select(vwap),
    "ohlcv 5m of one symbol": trades.filter(one).group_by(bar).agg(ohlcv),
    "ohlcv 5m of all symbols": trades.group_by("symbol", bar).agg(ohlcv),
    "ten minutes": trades.filter(minutes).select(pl.len(), volume.sum(), price.max() / 1e4),
    "ten minutes of rows of one symbol": trades.filter(one & minutes).select(timestamp, price / 1e4, volume),
    "latest on": trades.group_by("symbol").agg(timestamp.last(), price.last() / 1e4),
    "asof join": trades.join_asof(quotes, on="timestamp", by="symbol", check_sortedness=False)
    .drop_nulls("bid")
    .select(pl.len(), (price - col("bid")).sum() / 1e4),
    "rolling mean": trades.select(mean).select(pl.len(), col("mean").sum() / 1e4),
    "filter by value": trades.filter((price > 1_515_000) & (volume < 500)).group_by("symbol").agg(pl.len()),
}


def timed(name, engine):
    began = time.perf_counter()
    answer = questions[name].collect(engine=engine)
    return (time.perf_counter() - began) * 1e3, answer


print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    name = asked["name"]
    engine = min(ENGINES, key=lambda engine: timed(name, engine)[0])
    warm_until = time.perf_counter() + world["warmUpSeconds"]
    while time.perf_counter() < warm_until:
        timed(name, engine)
    runs = [timed(name, engine) for _ in range(asked["rounds"])]
    answer = runs[-1][1]
    found = {"ms": statistics.median(ms for ms, _ in runs), "engine": engine, "rows": [list(row) for row in answer.rows()]}
    print(json.dumps(found), flush=True)
