import bz2
import gzip
import hashlib
import io
import json
import lzma
import sys
import warnings
import zipfile
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from draws import stream_of
from paths import SHARED

from dtenv.presets import resolve
from dtenv.scenario.recording import Recording
from dtenv.traces import Sites, project, read_sites, read_trace, scenario_from_traces, tables
from dtenv.world.walks import Recorded, recorded_walks

DATA = SHARED / "data"
MELBOURNE = DATA / "eua" / "site-optus-melbCBD.csv"
EUA_USERS = DATA / "eua" / "users-melbcbd-generated.csv"
IRELAND = DATA / "ireland_bs" / "base_stations.csv"
KAIST = DATA / "kaist" / "kaist_30s.csv.gz"

SHANGHAI = """month,date,start time,end time,latitude,longitude,user id
201406,1,2014-06-01 10:30:00,2014-06-01 10:40:00,31.2010,121.4010,ab
201406,1,2014-06-01 10:00:00,2014-06-01 10:10:00,31.2000,121.4000,ab
201406,1,2014-06-01 10:05:00,2014-06-01 10:20:00,,,ab
201406,1,2014-06-01 10:05:00,2014-06-01 10:20:00,NaN,NaN,ab
201406,1,2014-05-31 23:59:00,2014-06-01 00:01:00,31.2000,121.4000,cd
"""
SHANGHAI_OLD = """month,date,start time,end time,location(latitude/lontitude),user id
201406,1,01/06/14 10:30,01/06/14 10:40,31.2010/121.4010,ab
201406,1,01/06/14 10:00,01/06/14 10:10,31.2000/121.4000,ab
201406,1,01/06/14 10:05,01/06/14 10:20,,ab
201406,1,01/06/14 10:05,01/06/14 10:20,nan/nan,ab
201406,1,31/05/14 23:59,01/06/14 00:01,31.2000/121.4000,cd
"""
GEOLIFE = """Geolife trajectory
WGS 84
Altitude is in Feet
Reserved 3
0,2,255,My Track,0,0,2,8421376
0
39.984702,116.318417,0,492,39744.1201851852,2008-10-23,02:53:04
39.984683,116.318450,0,492,39744.1202546296,2008-10-23,02:53:10
400.166666666667,116.31845,0,492,39744.1203000000,2008-10-23,02:53:14
39.984686,116.318417,0,492,39744.1203125000,2008-10-23,02:53:15
"""
SQUARE = "x_m,y_m\n0,0\n100,0\n0,100\n100,100\n50,50\n"


@pytest.fixture
def write(tmp_path):
    def write_file(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write_file


def seconds(text):
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds()


def walk(rows, trace=1):
    """Trace file of rows (time, x, y)."""
    return "trace,time_s,x_m,y_m\n" + "".join(f"{trace},{t},{x},{y}\n" for t, x, y in rows)


def build(write, trace, sites=SQUARE, **kwargs):
    """Scenario of a five-site square of 100 m around (50, 50)."""
    kwargs = {"num_users": 2, "num_servers": 5, "window_m": 100.0} | kwargs
    return scenario_from_traces(write("sites.csv", sites), write("walks.csv", trace), **kwargs)


def workbook():
    """An archive that stands for a workbook."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    return data.getvalue()


# Sites


@pytest.mark.parametrize(
    ("name", "text", "geographic", "expected"),
    [
        (
            "eua.csv",
            'SITE_ID,LATITUDE,LONGITUDE,NAME\r\n1,-37.8,144.9,"Spring St, 1"\r\n2,-37.9,144.8,B\r\n3,-37.8,144.9,A\r\n',
            True,
            [[-37.9, 144.8], [-37.8, 144.9]],
        ),
        (
            "ireland.csv",
            "bs_id,bs_technology,bs_fc,bs_operator,bs_lat,bs_long,bs_power\na,gsm,900,m,51.8,-10.3,40\nb,umts,9,m,51.8,-10.3,4\n",
            True,
            [[51.8, -10.3]],
        ),
        (
            "505.csv.gz",
            "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
            "LTE,505,1,2,3,0,144.9,-37.8,1000,5,1,1459692342,1488347104,0\n",
            True,
            [[-37.8, 144.9]],
        ),
        (
            "505.csv.gz",
            "UMTS,505,1,2,3,0,144.8,-37.9,1000,5,1,1459692342,1488347104,0\n"
            "LTE,505,1,2,3,0,144.9,-37.8,1000,5,1,1459692342,1488347104,0\n",
            True,
            [[-37.9, 144.8], [-37.8, 144.9]],
        ),
        ("shanghai.csv", SHANGHAI, True, [[31.2, 121.4], [31.201, 121.401]]),
        ("shanghai_old.csv", SHANGHAI_OLD, True, [[31.2, 121.4], [31.201, 121.401]]),
        ("local.csv", "\ufeffX_m, y_m\n3,4\n\n1,2\n", False, [[1, 2], [3, 4]]),
        ("mine.csv", "name,Lng,LAT\na,2,1\n", True, [[1, 2]]),
        ("mine.csv", "name,Latitude,Long\na,1,2\n", True, [[1, 2]]),
        ("mine.csv", "lat,lon\n1,2\n", True, [[1, 2]]),
    ],
)
def test_sites_of_every_layout(write, name, text, geographic, expected):
    path = write(name, text)
    sites = read_sites(path)
    assert sites.geographic is geographic
    assert sites.source == name
    assert sites.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(sites.coordinates, expected)


def test_xlsx_is_read_through_openpyxl(write, monkeypatch):
    cells = [tuple(line.split(",")) for line in SHANGHAI.splitlines()]
    cells[1] = (201406, 1, datetime(2014, 6, 1, 10, 30), datetime(2014, 6, 1, 10, 40), 31.201, 121.401, "ab")
    cells[3] = (*cells[3][:4], None, None, "ab")
    sheet = SimpleNamespace(iter_rows=lambda values_only: iter(cells))
    book = SimpleNamespace(load_workbook=lambda file, **options: SimpleNamespace(active=sheet))
    monkeypatch.setitem(sys.modules, "openpyxl", book)
    path = write("data_6.1~6.15.xlsx", "")
    path.write_bytes(workbook())
    np.testing.assert_array_equal(read_sites(path).coordinates, [[31.2, 121.4], [31.201, 121.401]])
    np.testing.assert_array_equal(read_trace(path).time_s, read_trace(write("s.csv", SHANGHAI)).time_s)


def test_real_xlsx(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is optional")
    book = openpyxl.Workbook()
    for line in SHANGHAI.splitlines():
        book.active.append(line.split(","))
    book.save(tmp_path / "shanghai.xlsx")
    np.testing.assert_array_equal(
        read_sites(tmp_path / "shanghai.xlsx").coordinates, [[31.2, 121.4], [31.201, 121.401]]
    )


def test_xlsx_without_openpyxl_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    path = write("shanghai.xlsx", "")
    path.write_bytes(workbook())
    with pytest.raises(ImportError, match="pip install openpyxl"):
        read_sites(path)


# Traces


@pytest.mark.parametrize("name", ["walks.csv", "walks.csv.gz"])
def test_kaist_layout_sorts_times_and_keeps_the_last_of_equal_ones(write, name):
    walks = read_trace(write(name, "trace,time_s,x_m,y_m\nb,30,5,6\na,60,3,4\na,0,0,0\na,60,1,2\nb,0,7,8\na,30,9,9\n"))
    assert not walks.geographic and not walks.stepwise
    np.testing.assert_array_equal(walks.walk, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(walks.time_s, [0, 30, 0, 30, 60])
    np.testing.assert_array_equal(walks.coordinates, [[7, 8], [5, 6], [0, 0], [9, 9], [1, 2]])
    assert walks.interval_s == 30.0


def test_geographic_walks_in_the_same_layout(write):
    walks = read_trace(write("walks.csv", "trace,time_s,lat,lon\n1,0,-37.8,144.9\n1,5,-37.9,144.8\n"))
    assert walks.geographic
    np.testing.assert_array_equal(walks.coordinates, [[-37.8, 144.9], [-37.9, 144.8]])


def test_users_without_time_stand_still(write):
    walks = read_trace(write("users.csv", "Latitude,Longitude\n-37.8,144.9\n-37.8,144.9\n"))
    np.testing.assert_array_equal(walks.walk, [0, 1])
    assert np.isinf(walks.until_s).all() and np.isnan(walks.interval_s)


@pytest.mark.parametrize("text", [SHANGHAI, SHANGHAI_OLD])
def test_shanghai_sessions(write, text):
    walks = read_trace(write("shanghai.csv", text))
    assert walks.stepwise and walks.geographic
    np.testing.assert_array_equal(walks.walk, [0, 0, 1])
    expected = ["2014-06-01 10:00:00", "2014-06-01 10:30:00", "2014-05-31 23:59:00"]
    np.testing.assert_array_equal(walks.time_s, [seconds(t) for t in expected])
    np.testing.assert_array_equal(walks.until_s - walks.time_s, [600, 600, 120])
    np.testing.assert_array_equal(walks.coordinates, [[31.2, 121.4], [31.201, 121.401], [31.2, 121.4]])


def test_a_user_in_overlapping_sessions_is_seen_until_the_latest_end(write):
    head = "start time,end time,latitude,longitude,user id\n"
    rows = "2014-06-01 10:00,2014-06-01 12:00,31,121,a\n2014-06-01 10:10,2014-06-01 10:20,31,122,a\n"
    walks = read_trace(write("shanghai.csv", head + rows))
    assert walks.until_s[1] == seconds("2014-06-01 12:00")


def test_a_session_that_ends_before_it_starts_is_a_moment(write):
    row = "2014-06-01 10:00,2014-06-01 09:00,31,121,a\n"
    walks = read_trace(write("shanghai.csv", "start time,end time,latitude,longitude,user id\n" + row))
    np.testing.assert_array_equal(walks.until_s, walks.time_s)


def test_cabspotting_is_newest_first(write):
    newest_first = "37.75134 -122.39488 0 1213084687\n37.75136 -122.39527 1 1213084659\n"
    walks = read_trace(write("new_abboip.txt", newest_first))
    np.testing.assert_array_equal(walks.time_s, [1213084659, 1213084687])
    np.testing.assert_array_equal(walks.coordinates, [[37.75136, -122.39527], [37.75134, -122.39488]])

    write("cabs/new_b.txt", newest_first)
    write("cabs/new_a.txt", "37.7 -122.3 0 1213084000\n")
    folder = write("cabs/_cabs.txt", "not a cab").parent
    walks = read_trace(folder)
    assert walks.source == "cabs"
    np.testing.assert_array_equal(walks.walk, [0, 1, 1])
    np.testing.assert_array_equal(walks.time_s, [1213084000, 1213084659, 1213084687])


def test_geolife(write):
    path = write("Geolife/Data/000/Trajectory/20081023025304.plt", GEOLIFE)
    walks = read_trace(path)
    # 39744.1201851852 days after 1899-12-30; the fix off the globe is left out.
    np.testing.assert_array_equal(walks.time_s - walks.time_s[0], [0, 6, 11])
    np.testing.assert_array_equal(walks.coordinates[:, 0], [39.984702, 39.984683, 39.984686])

    write("Geolife/Data/001/Trajectory/20081024.plt", GEOLIFE)
    write("Geolife/Data/001/labels.txt", "Start Time\tEnd Time\tTransportation Mode\n")
    both = read_trace(path.parents[3])
    assert both.source == "Geolife"
    np.testing.assert_array_equal(both.walk, [0, 0, 0, 1, 1, 1])


def test_digest_of_a_folder_is_of_names_and_contents(write):
    def digest(folder, name, text):
        return read_trace(write(f"{folder}/{name}", text).parent).sha256

    one = digest("one", "new_a.txt", "1 2 0 3\n")
    assert one == digest("two", "new_a.txt", "1 2 0 3\n")
    assert one != digest("three", "new_b.txt", "1 2 0 3\n")
    assert one != digest("four", "new_a.txt", "1 2 0 4\n")


# Recordings of one's own: recognised by names, or as the caller says

MOVERS = [("a", 0, -37.80, 144.90), ("b", 0, -37.81, 144.91), ("a", 60, -37.82, 144.92), ("b", 60, -37.83, 144.93)]


@pytest.mark.parametrize(
    "header", ["taxi,t,latitude,longitude", "Vehicle ID,TimeStamp,Lat,Lng", "uid,unix_time,LAT,long"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_movers_are_read_whatever_their_header_is_spelt(write, header, delimiter):
    rows = [header.split(","), *[map(str, row) for row in reversed(MOVERS)]]
    walks = read_trace(write("walks.csv", "".join(delimiter.join(row) + "\n" for row in rows)))
    np.testing.assert_array_equal(walks.walk, [0, 0, 1, 1])
    np.testing.assert_array_equal(walks.time_s, [0, 60, 0, 60])
    assert np.isfinite(walks.until_s).all() and not walks.stepwise
    assert walks.remarks["teleports"] == 0 and walks.remarks["repeated"] == 0


@pytest.mark.parametrize(
    ("times", "kind"),
    [
        (["2014-06-01 08:00:00", "2014-06-01 08:01:00"], "local time"),
        (["2014-06-01T08:00:00+08:00", "2014-06-01T00:01:00Z"], "UTC+08:00"),
        (["1401580800", "1401580860"], "s"),
        (["1401580800000", "1401580860000"], "ms"),
        (["2014-06-01T08:00:00.000", "2014-06-01T08:01:00.000"], "local time"),
    ],
)
def test_times_of_any_clock(write, times, kind):
    walks = read_trace(write("w.csv", "user,when,x_m,y_m\n" + "".join(f"1,{t},{i},0\n" for i, t in enumerate(times))))
    np.testing.assert_array_equal(walks.time_s - walks.time_s[0], [0, 60])
    assert walks.remarks["clock"] == kind
    if kind != "local time" and "U" not in kind:
        assert walks.time_s[0] == 1401580800.0
    else:
        assert walks.time_s[0] == seconds("2014-06-01 08:00:00")


def test_dates_and_times_in_two_columns(write):
    walks = read_trace(write("w.csv", "bus,date,time,x_m,y_m\n1,2014-06-01,08:00:00,0,0\n1,2014-06-01,08:00:10,1,0\n"))
    np.testing.assert_array_equal(walks.time_s - walks.time_s[0], [0, 10])


def test_columns_say_what_names_do_not(write):
    path = write("w.csv", "a,b,c,d\n1,0,10,20\n1,5,11,20\n")
    columns = {"user": "a", "time": "b", "x": "c", "y": "d"}
    np.testing.assert_array_equal(read_trace(path, columns).time_s, [0, 5])
    still = read_trace(path, {"x": "c", "y": "d", "time": None})
    assert np.isinf(still.until_s).all() and len(still.walk) == 2
    one = read_trace(write("one.csv", "t,lat,lon\n0,1,2\n5,1,2\n"), {"user": None})
    np.testing.assert_array_equal(one.walk, [0, 0])
    with pytest.raises(ValueError, match=r"columns\['time'\] must be one of a, b, c, d, got 'z'"):
        read_trace(path, {**columns, "time": "z"})
    with pytest.raises(ValueError, match="columns: roles are user, time, lat, lon, x, y, got 'when'"):
        read_trace(path, {"when": "b"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("taxi,lat,lon\n1,2,3\n1,2,4\n", "taxi repeats, and no column names the time"),
        ("taxi,k,lat,lon\n1,0,2,3\n1,1,2,4\n", r"no column names the time \(k unknown\)"),
        ("t,lat,lon\n0,2,3\n1,2,4\n", "no column names the user"),
        ("taxi,bus,t,lat,lon\n1,1,0,2,3\n", "taxi, bus could be the user"),
        ("taxi,t,timestamp,lat,lon\n1,1,0,2,3\n", "t, timestamp could be the time"),
        ("taxi,t,x,y\n1,0,2,3\n1,1,2,4\n", "x and y could be metres or degrees"),
        ("taxi,t,lat\n1,0,2\n", "no two columns name latitude and longitude"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_with_the_layouts_known(write, text, why):
    with pytest.raises(ValueError, match=rf"w\.csv:1: unknown header (.|\n)*cabspotting(.|\n)*Here: {why}"):
        read_trace(write("w.csv", text))


def test_odd_rows_are_counted_and_reported(write):
    rows = [("a", 0, 0, 0), ("a", 0, 5, 5), ("a", 1, 9000, 0), ("a", 2, 9001, 0), *(("b", t, 7, 7) for t in range(9))]
    path = write("w.csv", "user,t,x_m,y_m\n" + "".join(f"{u},{t},{x},{y}\n" for u, t, x, y in rows))
    walks = read_trace(path)
    assert {name: walks.remarks[name] for name in ("repeated", "teleports", "motionless walks")} == {
        "repeated": 1,
        "teleports": 1,
        "motionless walks": 1,
    }
    with pytest.warns(UserWarning, match=r"w\.csv: 1 repeated, 1 teleports, 1 motionless walks"):
        made = scenario_from_traces(write("s.csv", SQUARE), path, num_servers=5, num_slots=3, num_users=1, window_m=600)
    assert "1 teleports" in made.mobility.recording.provenance["note"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_archives_are_recognised_by_content(write, compress):
    text = walk([(0, 1, 2), (5, 3, 4)])
    path = write("walks.dat", "")
    path.write_bytes(compress(text.encode()))
    np.testing.assert_array_equal(read_trace(path).coordinates, [[1, 2], [3, 4]])
    long = (text + "".join(f"1,{t},{t * 7 % 1013},{t * t % 997}\n" for t in range(6, 20_000))).encode()
    path.write_bytes(compress(long)[:-3000])
    with pytest.raises(ValueError, match=r"^walks\.dat:\d+: the archive is truncated or corrupt here"):
        read_trace(path)


def test_zip_archives_hold_one_file(write):
    path = write("walks.csv", "")
    for names, message in (
        (["w.csv"], None),
        (["a", "b"], r"walks\.csv:1: must hold one file or a workbook, holds a, b"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, walk([(0, 1, 2)]))
        if message is None:
            np.testing.assert_array_equal(read_trace(path).coordinates, [[1, 2]])
        else:
            with pytest.raises(ValueError, match=message):
                read_trace(path)


@pytest.mark.parametrize("data", [b"no workbook", b"PK\x03\x04 cut short", b"\xd0\xcf\x11\xe0 of old"])
def test_false_workbooks_are_refused_by_file_and_line(write, data):
    path = write("sites.xlsx", "")
    path.write_bytes(data + b"\nx\n")
    with pytest.raises(ValueError, match=r"^sites\.xlsx:1: "):
        read_sites(path)


# Longitudes wrap, and meridians meet at the poles


@pytest.mark.parametrize("turn", [lambda lon: lon, lambda lon: lon % 360.0])
def test_a_window_across_the_date_line_is_that_of_the_same_places_elsewhere(write, turn):
    rng = np.random.default_rng(0)
    away = rng.uniform(-0.004, 0.004, (12, 2))

    def made(longitude):
        sites = "".join(f"{-17 + a:.7f},{turn((longitude + b + 180) % 360 - 180):.7f}\n" for a, b in away)
        walks = "".join(
            f"u,{t},{-17 + 1e-5 * t:.7f},{turn((longitude + 1e-5 * t + 180) % 360 - 180):.7f}\n" for t in range(-20, 21)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return scenario_from_traces(
                write("s.csv", "lat,lon\n" + sites),
                write("w.csv", "user,t,lat,lon\n" + walks),
                num_servers=12,
                num_slots=30,
                num_users=1,
                window_m=1200.0,
            ).mobility.recording

    here, there = made(30.0), made(180.0)
    assert there.provenance["overlaid"] is False and there.area_m == here.area_m
    np.testing.assert_allclose(there.site_xy, here.site_xy[np.argsort(here.site_xy[:, 0] * 0)], atol=0.1)
    np.testing.assert_allclose(there.walk_xy, here.walk_xy, atol=0.1)
    assert -180.0 <= there.provenance["centre"][1] < 180.0


def test_a_window_around_a_pole(write):
    sites = "lat,lon\n" + "".join(f"89.995,{lon}\n" for lon in range(-180, 180, 36))
    walks = "user,t,lat,lon\n" + "".join(
        f"u,{t},{90 - abs(t - 20) * 1e-5:.6f},{0 if t < 20 else 179}\n" for t in range(41)
    )
    made = scenario_from_traces(
        write("s.csv", sites), write("w.csv", walks), num_servers=10, num_slots=30, num_users=1, window_m=2400.0
    ).mobility.recording
    assert len(made.site_xy) == 10 and made.provenance["overlaid"] is False
    away = np.linalg.norm(made.site_xy[:, None] - made.site_xy, axis=2)
    assert away.max() == pytest.approx(2 * 558, rel=0.01)  # 0.005 degrees of latitude either side of the pole
    assert np.linalg.norm(np.diff(made.walk_xy, axis=0), axis=1).max() < 1.5  # no jump where the longitude turns


@pytest.mark.parametrize("longitudes", [(-179.9, 190.0), (-181.0, 10.0)])
def test_longitudes_of_two_conventions_are_refused(write, longitudes):
    with pytest.raises(ValueError, match=r"lon must lie in \[-180, 180\], got"):
        read_sites(write("s.csv", "lat,lon\n" + "".join(f"0,{lon}\n" for lon in longitudes)))


def test_the_default_window_is_that_of_a_radio_network(write):
    rng = np.random.default_rng(1)
    sites = "x_m,y_m\n" + "".join(f"{x:.1f},{y:.1f}\n" for x, y in rng.uniform(0, 3000, (400, 2)))
    walks = "user,t,x_m,y_m\n" + "".join(f"{u},{t},{1500 + u},{1400 + t}\n" for u in range(3) for t in range(150))
    given = write("s.csv", sites), write("w.csv", walks)
    made = scenario_from_traces(*given, env_id="DTMigration-v0", num_stations=10, num_slots=100)
    assert made.network.area_m == np.ceil(500 * np.sqrt(10))
    assert "1,582 m x 1,582 m" in made.mobility.recording.provenance["note"]
    with pytest.warns(UserWarning, match="the window of 400 m x 400 m is small for a radio network"):
        scenario_from_traces(*given, env_id="DTMigration-v0", num_stations=5, num_slots=10, window_m=400.0)


def test_a_million_rows_are_read_by_a_library():
    """The fast path, not the row-by-row one, reads a plain file; benchmarks/speed measures it."""
    text = "user,t,lat,lon\n" + "".join(f"{i // 100},{i % 100},{i % 80},{i % 170}\n" for i in range(20_000))
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dtenv.traces.tables._of_rows", lambda *args: calls.append(args))
        table = tables.read_table("w.csv", text.encode())
    assert not calls and len(table.columns[0]) == 20_000


# Errors


@pytest.mark.parametrize(
    ("read", "name", "text", "message"),
    [
        (read_sites, "s.csv", "LATITUDE,LONGITUDE\n1,2\nabc,2\n", r"s\.csv:3: LATITUDE must be a number, got 'abc'"),
        (read_sites, "s.csv", "LATITUDE,LONGITUDE\n\n\n,2\n", r"s\.csv:4: LATITUDE must be a number, got ''"),
        (read_sites, "s.csv", "lat,lng\n90.5,2\n", r"s\.csv:2: lat must lie in \[-90, 90\], got '90\.5'"),
        (read_sites, "s.csv", "lat,lng\n9,-180.5\n", r"s\.csv:2: lng must lie in \[-180, 180\], got '-180\.5'"),
        (read_sites, "s.csv", "lat,lng\n9,nan\n", r"s\.csv:2: lng must be finite, got 'nan'"),
        (read_sites, "s.csv", "x_m,y_m\n9,inf\n", r"s\.csv:2: y_m must be finite, got 'inf'"),
        (read_sites, "s.csv", "id,lat,lng\na,9,8\nb,9\n", r"s\.csv:3: lng is missing, the row has 2 columns"),
        (read_sites, "s.csv", "LTE,505,1,2,3,0,144.9,-97\n", r"s\.csv:1: lat must lie in \[-90, 90\], got '-97'"),
        (
            read_sites,
            "s.csv",
            "name,place\na,b\n",
            r"s\.csv:1: unknown header 'name,place'; understood are(.|\n)*OpenCelliD",
        ),
        (read_sites, "s.csv", walk([(0, 0, 0)]), r"s\.csv:1: unknown header 'trace,time_s,x_m,y_m'"),
        (read_sites, "s.csv", "lat,lng\n", r"s\.csv: holds no rows"),
        (read_sites, "s.csv", "", r"s\.csv: holds no rows"),
        (read_sites, "s.csv", SHANGHAI.splitlines()[0] + "\n,,,,,,a\n", r"s\.csv: holds no rows"),
        (read_trace, "w.csv", walk([(0, 0, 0), ("x", 0, 0)]), r"w\.csv:3: time_s must be a number, got 'x'"),
        (read_trace, "w.csv", "time_s,x_m,y_m\n1,2,3\n", r"w\.csv:1: unknown header(.|\n)*GeoLife"),
        (read_trace, "w.csv", "timestamp,lat,lon\n1,2,3\n", r"w\.csv:1: unknown header"),
        (read_trace, "w.csv", "name\nx\n", r"w\.csv:1: unknown header 'name'"),
        (read_trace, "w.csv", "start time,end time,user id\n1,2,3\n", r"w\.csv:1: unknown header"),
        (read_trace, "w.csv", SHANGHAI.replace("2014-05-31 23:59:00", "noon"), r"w\.csv:6: start time .* got 'noon'"),
        (read_trace, "w.csv", SHANGHAI_OLD.replace("31/05/14 23:59", "99/05/14 23:59"), r"w\.csv:6: start time must"),
        (read_trace, "w.csv", SHANGHAI_OLD.replace("31.2010/121", "31.2010-121"), r"w\.csv:2: location\(.*must be"),
        (read_trace, "w.csv", SHANGHAI.replace("121.4010,ab", "121.4010"), r"w\.csv:2: user id is missing"),
        (read_trace, "w.csv", SHANGHAI + "201406,1\n", r"w\.csv:7: latitude is missing, the row has 2 columns"),
        (read_trace, "new_a.txt", "37.7 -122.3 0 1\n37.7 -122.3 0\n", r"new_a\.txt:2: unixtime is missing"),
        (read_trace, "c/new_a.txt", "37.7 -222.3 0 1\n", r"new_a\.txt:1: longitude must lie in \[-180, 180\]"),
        (read_trace, "a.plt", GEOLIFE.replace("39.984686", "99.9"), r"a\.plt:10: latitude must lie in \[-90, 90\]"),
        (read_trace, "a.plt", GEOLIFE.replace("39744.1202546296", "?"), r"a\.plt:8: days must be a number, got '\?'"),
    ],
)
def test_malformed_files_are_refused_by_file_line_field_and_value(write, read, name, text, message):
    with pytest.raises(ValueError, match=message):
        read(write(name, text))


def test_errors_in_a_folder_name_the_file(write):
    write("cabs/new_a.txt", "37.7 -122.3 0 1\n")
    folder = write("cabs/new_b.txt", "37.7 x 0 1\n").parent
    with pytest.raises(ValueError, match=r"^cabs/new_b\.txt:1: longitude must be a number, got 'x'$"):
        read_trace(folder)


def test_a_truncated_download_is_named(write):
    path = write("walks.csv.gz", walk([(0, 0, 0)]))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=r"^walks\.csv\.gz:1: the archive is truncated"):
        read_trace(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        read_sites(tmp_path / "nowhere.csv")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_trace(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"new_\*\.txt"):
        read_trace(tmp_path)


# Projection and window


def test_projection_of_known_displacements():
    # A minute of latitude at 45° is 1852.2 m; a degree of longitude at 37.8° is 88.07 km (WGS 84).
    np.testing.assert_allclose(project(45 + 1 / 60, 9.0, (45.0, 9.0)), [0, 1852.2], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(project(-37.8, 144.91, (-37.8, 144.9)), [880.7, 0], rtol=1e-3, atol=1e-6)


def test_projection_goes_the_short_way_across_the_date_line():
    np.testing.assert_allclose(project([0.0], [-179.9], (0.0, 179.9)), project([0.0], [0.2], (0.0, 0.0)), rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_the_default_window_is_the_smallest_square_around_a_site(write, seed):
    rng = np.random.default_rng(seed)
    sites = np.column_stack([rng.uniform(-38.5, -37.5, 300), rng.uniform(144.5, 145.5, 300)])
    # Far north a degree of longitude is short: a search in degrees would take these sites for far apart.
    sites = np.vstack([sites, sites[:200] * [-1.9, 1.0]])
    text = "lat,lon\n" + "".join(f"{a:.9f},{b:.9f}\n" for a, b in sites)
    path = write("sites.csv", text)
    square = [np.sort(np.abs(project(*sites.T, place)).max(axis=1))[6] for place in sites]
    where = sites[np.argmin(square)]
    users = write("users.csv", f"lat,lon\n{where[0]},{where[1]}\n")
    made = scenario_from_traces(path, users, num_servers=7, num_slots=3, num_users=1).mobility.recording
    np.testing.assert_allclose(made.provenance["centre"], where, atol=1e-8)
    assert made.area_m == np.ceil(2 * min(square))
    assert len(made.site_xy) == made.provenance["sites"] >= 7


def test_centre_and_window_choose_the_sites(write):
    users = "x_m,y_m\n10,10\n"
    made = build(write, users, num_servers=1, num_slots=3, window_m=40, centre=(10, 10)).mobility.recording
    np.testing.assert_array_equal(made.site_xy, [[10, 10]])
    made = build(write, users, num_servers=3, num_slots=3, centre=(0, 0), window_m=200).mobility.recording
    np.testing.assert_array_equal(made.site_xy, [[100, 100], [100, 200], [150, 150], [200, 100], [200, 200]])


def test_one_server_still_has_a_square_to_serve(write):
    made = build(write, "x_m,y_m\n10,10\n", num_servers=1, num_slots=3).mobility.recording
    assert made.area_m == 100.0 and len(made.site_xy) == 2  # a corner, and the middle on its window's edge
    assert build(write, "x_m,y_m\n10,10\n", num_servers=1, num_slots=3, window_m=None).network.area_m == 500.0


def test_too_few_sites(write):
    still = "x_m,y_m\n50,50\n"
    with pytest.raises(
        ValueError, match=r"window of 60 m around \(50, 50\) in sites\.csv holds 1 sites, num_servers needs 5"
    ):
        build(write, still, window_m=60.0, num_slots=3)
    with pytest.raises(ValueError, match=r"holds 5 sites, num_servers needs 9"):
        build(write, still, num_servers=9, num_slots=3, centre=(50, 50))


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"window_m": -3}, ValueError, "window_m must be positive, got -3"),
        ({"window_m": np.inf}, ValueError, "window_m must be a finite number, got inf"),
        ({"slot_seconds": 0.0}, ValueError, "slot_seconds must be positive, got 0.0"),
        ({"centre": (1, 2, 3)}, ValueError, r"centre must be two finite numbers, got \(1, 2, 3\)"),
        ({"num_user": 3}, TypeError, "did you mean 'num_users'"),
        ({"area_m": 3.0}, TypeError, "window_m sets the side"),
        ({"recording": None}, TypeError, "come from the files"),
        ({"scenario": "balances"}, ValueError, "did you mean 'balanced'"),
    ],
)
def test_bad_arguments(write, kwargs, error, message):
    with pytest.raises(error, match=message):
        build(write, "x_m,y_m\n50,50\n", **kwargs)


# Walks in the window


def test_walks_are_resampled_in_straight_lines(write):
    made = build(write, walk([(0, 10, 50), (10, 20, 40), (20, 40, 40)]), slot_seconds=5, num_slots=3, centre=(50, 50))
    recording = made.mobility.recording
    np.testing.assert_allclose(recording.walk_xy, [[10, 50], [15, 45], [20, 40], [30, 40], [40, 40]], atol=1e-9)
    np.testing.assert_array_equal(recording.segment_start, [0])
    assert (recording.area_m, recording.slot_seconds, recording.segment_slots) == (100.0, 5.0, 5)
    assert (made.network.area_m, made.mobility.slot_seconds, made.network.num_users) == (100.0, 5.0, 2)
    assert recording.provenance["overlaid"] is False
    assert recording.provenance["note"] == "sites and walks share one window of 100 m x 100 m with 5 sites, 1 walks"


def test_the_slot_is_the_median_interval(write):
    made = build(write, walk([(0, 1, 1), (7, 2, 2), (14, 3, 3), (23, 4, 4)]), num_slots=1)
    assert made.mobility.slot_seconds == 7.0


def test_users_who_stand_still_have_one_segment_at_the_scenarios_slot(write):
    made = build(write, "x_m,y_m\n10,20\n500,500\n30,40\n", num_slots=2)
    np.testing.assert_array_equal(made.mobility.recording.walk_xy, [[10, 20]] * 4 + [[30, 40]] * 4)
    np.testing.assert_array_equal(made.mobility.recording.segment_start, [0, 4])
    assert made.mobility.slot_seconds == resolve("balanced").mobility.slot_seconds


@pytest.mark.parametrize(("silence", "points", "starts"), [(50, 10, range(8)), (51, 6, [0, 3])])
def test_a_long_silence_breaks_a_walk(write, silence, points, starts):
    later = 20 + silence
    times = (0, 10, 20, later, later + 10, later + 20)
    made = build(write, walk([(t, 10 + k, 50) for k, t in enumerate(times)]), num_slots=1)
    assert made.mobility.slot_seconds == 10.0
    assert len(made.mobility.recording.walk_xy) == points
    np.testing.assert_array_equal(made.mobility.recording.segment_start, starts)


@pytest.mark.parametrize(("slot_seconds", "silence", "broken"), [(20, 100, False), (20, 101, True), (2, 50, False)])
def test_silence_is_long_by_slots_and_by_intervals(write, slot_seconds, silence, broken):
    times = (0, 10, 20, 30, 40, 40 + silence, 50 + silence, 60 + silence, 70 + silence, 80 + silence)
    made = build(write, walk([(t, 50, 50) for t in times]), num_slots=1, slot_seconds=slot_seconds)
    assert len(made.mobility.recording.walk_xy) == (6 if broken else (80 + silence) // slot_seconds + 1)


def test_a_walk_of_whole_slots_keeps_its_last_point(write):
    made = build(write, walk([(0, 10, 50), (0.1, 20, 50), (0.2, 30, 50), (0.3, 40, 50)]), num_slots=2, slot_seconds=0.1)
    np.testing.assert_allclose(made.mobility.recording.walk_xy[:, 0], [10, 20, 30, 40])  # 0.3 / 0.1 is below 3


def test_walks_are_cut_where_they_leave_the_window(write):
    x = [10, 20, 30, 140, 40, 50, 60, 70]
    recording = build(write, walk([(k, at, 50) for k, at in enumerate(x)]), num_slots=1).mobility.recording
    np.testing.assert_allclose(recording.walk_xy[:, 0], [10, 20, 30, 40, 50, 60, 70])
    np.testing.assert_array_equal(recording.segment_start, [0, 3, 4])
    assert recording.provenance["walks"] == 1


def test_segments_overlap_by_three_quarters(write):
    recording = build(write, walk([(k, 50 + k % 7, 50) for k in range(40)]), num_slots=16).mobility.recording
    np.testing.assert_array_equal(recording.segment_start, [0, 4, 8, 12, 16, 20])
    assert recording.segment_start[-1] + recording.segment_slots <= len(recording.walk_xy)


def test_no_segment_is_long_enough(write):
    with pytest.raises(ValueError, match=r"walks\.csv: .* 100 m for the 12 slots of 10 s .* found has 4: .* at most 2"):
        build(write, walk([(10 * k, 50, 50) for k in range(4)]), num_slots=10)
    with pytest.raises(ValueError, match=r"found has 1: choose a larger window_m$"):
        build(write, walk([(0, 50, 50), (10, 500, 50)]), num_slots=10)


@pytest.mark.parametrize("text", [SHANGHAI, SHANGHAI_OLD])
def test_stations_are_held_until_the_next_session(write, text):
    path = write("shanghai.csv", text)
    made = scenario_from_traces(path, path, num_users=1, num_servers=2, num_slots=7, slot_seconds=300)
    recording = made.mobility.recording
    # 10:00 to 10:25 at the first station, its session long over; 10:30 to 10:40 at the second.
    first, second = recording.walk_xy[[0, -1]]
    np.testing.assert_allclose(recording.walk_xy, [first] * 6 + [second] * 3)
    np.testing.assert_allclose(second - first, project(31.201, 121.401, (31.2, 121.4)), rtol=1e-4)
    np.testing.assert_allclose(sorted(recording.site_xy.tolist()), [first, second])
    with pytest.raises(ValueError, match="found has 9"):
        scenario_from_traces(path, path, num_users=1, num_servers=2, num_slots=8, slot_seconds=300)


def test_sessions_do_not_break_and_absence_does(write):
    head = "start time,end time,latitude,longitude,user id\n"
    times = ("00:00", "09:00"), ("09:10", "09:30"), ("09:40", "09:50"), ("10:10", "10:20"), ("10:40", "10:50")
    times += (("20:00", "20:05"),)
    rows = [f"2014-06-01 {a},2014-06-01 {b},{31 + k % 2 / 1000},121,u\n" for k, (a, b) in enumerate(times)]
    path = write("shanghai.csv", head + "".join(rows))
    assert read_trace(path).interval_s == 30 * 60
    made = scenario_from_traces(path, path, num_users=1, num_servers=2, num_slots=57, slot_seconds=600)
    # 00:00 to 10:50 every ten minutes: nine hours at one station are no silence, nine without a session are.
    assert len(made.mobility.recording.walk_xy) == 66


def test_a_trace_of_another_city_is_laid_over(write):
    sites = "lat,lon\n" + "".join(f"{-37.8 + 1e-4 * k},{144.9}\n" for k in range(5))
    crowd = [(k, 5000 + k % 9, -3000) for k in range(20)]
    trace = walk(crowd) + walk([(k, 50_000, 0) for k in range(4)], trace=2).split("\n", 1)[1]
    made = build(write, trace, sites=sites, num_slots=10)
    recording = made.mobility.recording
    assert recording.provenance["overlaid"] is True
    assert recording.provenance["note"] == (
        "sites and walkers come from different places: walks from walks.csv are laid over the window of sites.csv "
        "of 100 m x 100 m with 5 sites, 1 walks; in the trace: 1 motionless walks"
    )
    half = recording.area_m / 2
    np.testing.assert_allclose(recording.provenance["walks_centre"], np.median(np.array(crowd)[:, 1:], axis=0))
    np.testing.assert_allclose(recording.walk_xy[:9, 0], half + np.arange(9) - 3.5)
    np.testing.assert_allclose(recording.walk_xy[:, 1], half)


def test_geographic_walks_elsewhere_are_laid_over_and_near_ones_are_not(write):
    sites = write("sites.csv", "lat,lon\n" + "".join(f"{-37.8 + 1e-4 * k},144.9\n" for k in range(5)))

    def overlaid(name, lat, lon):
        trace = write(name, "".join(f"{lat} {lon} 0 {t}\n" for t in (180, 120, 60, 0)))
        made = scenario_from_traces(sites, trace, num_servers=5, num_users=1, num_slots=2).mobility.recording
        assert made.slot_seconds == 60.0
        return made.provenance["overlaid"], made.walk_xy

    assert overlaid("new_here.txt", -37.8, 144.9)[0] is False
    moved, xy = overlaid("new_san_francisco.txt", 37.75, -122.39)
    assert moved is True
    np.testing.assert_allclose(xy, np.tile(xy[0], (4, 1)))


# The scenario


def test_keep_tradeoff_divides_the_price_of_distance_by_the_growth_of_the_window(write):
    still, base = "x_m,y_m\n50,50\n", resolve("balanced")
    kept = build(write, still, window_m=360.0, num_slots=3).energy
    assert kept.n_mig == pytest.approx(base.energy.n_mig / 3)
    assert kept.n_syn == pytest.approx(base.energy.n_syn / 3)
    unit = build(write, still, window_m=360.0, num_slots=3, keep_tradeoff=False).energy
    assert (unit.n_mig, unit.n_syn) == (base.energy.n_mig, base.energy.n_syn)
    given = build(write, still, window_m=360.0, num_slots=3, n_mig=7e-5).energy
    assert given.n_mig == 7e-5
    assert given.n_syn == pytest.approx(base.energy.n_syn / 3)


def test_a_scenario_that_has_a_recording_takes_another(write):
    still = "x_m,y_m\n50,50\n"
    first = build(write, still, num_slots=3, num_servers=4)
    second = build(write, still, scenario=first, num_slots=30, num_servers=5)
    assert second.mobility.recording.segment_slots == 32


def test_read_sites_and_walks_are_taken_in_place_of_files(write):
    sites, walks = write("sites.csv", SQUARE), write("walks.csv", walk([(k, 50, 50) for k in range(9)]))
    read = scenario_from_traces(read_sites(sites), read_trace(walks), num_servers=5, num_slots=3)
    assert isinstance(read_sites(sites), Sites)
    assert read.mobility.recording.provenance["trace_file"] == "walks.csv"


def test_two_calls_make_the_same_and_provenance_is_portable(write, tmp_path):
    trace = walk([(k, 50 + k % 5, 50) for k in range(30)])
    one, two = (build(write, trace, num_slots=4) for _ in range(2))
    for name in ("site_xy", "walk_xy", "segment_start"):
        np.testing.assert_array_equal(getattr(one.mobility.recording, name), getattr(two.mobility.recording, name))
    assert one.as_dict() == two.as_dict()
    provenance = one.mobility.recording.provenance
    text = json.dumps(provenance)
    assert str(tmp_path) not in text
    assert provenance["sites_sha256"] == hashlib.sha256(SQUARE.encode()).hexdigest()
    assert provenance["trace_sha256"] == hashlib.sha256(trace.encode()).hexdigest()
    assert {k: provenance[k] for k in ("window_m", "centre", "sites", "walks", "segments", "keep_tradeoff")} == {
        "window_m": 100.0,
        "centre": [50.0, 50.0],
        "sites": 5,
        "walks": 1,
        "segments": 25,
        "keep_tradeoff": True,
    }


def test_the_world_draws_walks_even_for_more_users_than_segments(write):
    made = build(write, walk([(k, 10 * k, 50) for k in range(6)]), num_users=4, num_slots=4)
    xy = np.empty((6, 4, 2))
    recorded_walks(stream_of(0), Recorded.of(made.mobility.recording), xy)
    np.testing.assert_allclose(xy[:, :, 0], np.tile(10.0 * np.arange(6)[:, None], 4))


# The real files


def needs(*paths):
    absent = [path.name for path in paths if not path.exists()]
    return pytest.mark.skipif(bool(absent), reason=f"real data absent: {', '.join(absent)}")


@needs(MELBOURNE, KAIST)
@pytest.mark.parametrize("num_slots", [100, 60])
def test_melbourne_sites_under_kaist_walkers(num_slots):
    made = scenario_from_traces(MELBOURNE, KAIST, num_users=20, num_servers=15, num_slots=num_slots)
    recording = made.mobility.recording
    assert made.mobility.slot_seconds == 30.0
    assert len(recording.site_xy) >= 15
    assert len(recording.segment_start) > 100
    assert recording.provenance["overlaid"] is True
    assert "walks from kaist_30s.csv.gz are laid over" in recording.provenance["note"]
    for xy in (recording.site_xy, recording.walk_xy):
        assert xy.min() >= 0.0 and xy.max() <= recording.area_m
    assert recording.segment_start.max() + num_slots + 2 <= len(recording.walk_xy)


@needs(MELBOURNE, EUA_USERS)
def test_melbourne_sites_under_melbourne_users():
    made = scenario_from_traces(MELBOURNE, EUA_USERS, num_users=20, num_servers=15, num_slots=10)
    provenance = made.mobility.recording.provenance
    assert provenance["overlaid"] is False
    assert provenance["walks"] == provenance["segments"] > 20
    assert len(read_trace(EUA_USERS).coordinates) == 816


@needs(IRELAND)
def test_ireland_sites():
    sites = read_sites(IRELAND)
    assert sites.geographic and len(sites.coordinates) == 3239
    assert 51 < sites.coordinates[:, 0].min() < sites.coordinates[:, 0].max() < 56


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"segment_start": np.array([], dtype=np.int64)}, "segment_start must hold at least one segment"),
        ({"segment_start": np.array([0, 4])}, r"segment_start must lie in \[0, 3\] .* got 4"),
        ({"segment_start": np.array([-1])}, r"segment_start must lie in \[0, 3\] .* got -1"),
        ({"site_xy": np.zeros((0, 2))}, "site_xy must hold at least one site"),
    ],
)
def test_recordings_that_kernels_would_read_beyond_are_refused(changed, told):
    fields = {"site_xy": np.ones((1, 2)), "walk_xy": np.ones((10, 2)), "segment_start": np.array([0, 3])}
    with pytest.raises(ValueError, match=told):
        Recording(**fields | changed, segment_slots=7, area_m=10.0, slot_seconds=1.0)
