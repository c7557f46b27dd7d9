"""The sets of slips and their controls, and the half of each set that a seed puts aside."""

from __future__ import annotations

from tests.doctor import (
    slips_eighteenth_pipeline,
    slips_eighteenth_scripts,
    slips_eighth_data,
    slips_eighth_scripts,
    slips_eighth_training,
    slips_eleventh_data,
    slips_eleventh_plugins,
    slips_eleventh_scripts,
    slips_eleventh_training,
    slips_fifteenth_pipeline,
    slips_fifteenth_scripts,
    slips_fifth_data,
    slips_fifth_scripts,
    slips_fifth_training,
    slips_fourteenth_pipeline,
    slips_fourteenth_scripts,
    slips_fourth_data,
    slips_fourth_training,
    slips_ninth_games,
    slips_ninth_plugins,
    slips_ninth_scripts,
    slips_of_data,
    slips_of_training,
    slips_seventeenth_pipeline,
    slips_seventeenth_scripts,
    slips_seventh_data,
    slips_seventh_reports,
    slips_seventh_training,
    slips_sixteenth_pipeline,
    slips_sixteenth_scripts,
    slips_sixth_data,
    slips_sixth_reports,
    slips_sixth_training,
    slips_tenth_data,
    slips_tenth_plugins,
    slips_tenth_scripts,
    slips_tenth_training,
    slips_third_data,
    slips_third_training,
    slips_thirteenth_scripts,
    slips_twelfth_data,
    slips_twelfth_scripts,
    slips_twelfth_training,
)
from tests.doctor.controls_of_eighteenth import CONTROLS as CONTROLS_OF_EIGHTEENTH
from tests.doctor.controls_of_eleventh import CONTROLS as CONTROLS_OF_ELEVENTH
from tests.doctor.controls_of_fifteenth import CONTROLS as CONTROLS_OF_FIFTEENTH
from tests.doctor.controls_of_fourteenth import CONTROLS as CONTROLS_OF_FOURTEENTH
from tests.doctor.controls_of_ninth import CONTROLS as CONTROLS_OF_NINTH
from tests.doctor.controls_of_seventeenth import CONTROLS as CONTROLS_OF_SEVENTEENTH
from tests.doctor.controls_of_seventh import CONTROLS as CONTROLS_OF_SEVENTH
from tests.doctor.controls_of_sixteenth import CONTROLS as CONTROLS_OF_SIXTEENTH
from tests.doctor.controls_of_slips import CONTROLS as CONTROLS_OF_SIXTH
from tests.doctor.controls_of_tenth import CONTROLS as CONTROLS_OF_TENTH
from tests.doctor.controls_of_thirteenth import CONTROLS as CONTROLS_OF_THIRTEENTH
from tests.doctor.controls_of_twelfth import CONTROLS as CONTROLS_OF_TWELFTH
from tests.doctor.games_files import GamesFile
from tests.doctor.outside import Foreign
from tests.doctor.scripts import Script
from tests.doctor.sets_of_pipelines import CONTROLS_OF_PIPELINES
from tests.doctor.slips import Slip, held_out
from tests.doctor.slips_of_scripts import SCRIPTS

AnySlip = Slip | Script | Foreign | GamesFile

SLIPS: dict[str, Slip] = {**slips_of_data.SLIPS, **slips_of_training.SLIPS}
# The third set was looked at. The fourth and the fifth set were first run
# when the checks were complete, and looked at afterwards.
THIRD: dict[str, AnySlip] = {
    **slips_third_data.SLIPS,
    **slips_third_training.SLIPS,
    **slips_third_training.SCRIPTS,
}
FOURTH: dict[str, AnySlip] = {
    **slips_fourth_data.SLIPS,
    **slips_fourth_training.SLIPS,
    **slips_fourth_training.SCRIPTS,
}
FIFTH: dict[str, AnySlip] = {
    **slips_fifth_data.SLIPS,
    **slips_fifth_training.SLIPS,
    **slips_fifth_scripts.SCRIPTS,
}
# Half of the sixth and of the seventh set was looked at, and the other half was run once when the
# checks were complete.
SIXTH: dict[str, AnySlip] = {
    **slips_sixth_data.SLIPS,
    **slips_sixth_training.SLIPS,
    **slips_sixth_reports.SLIPS,
    **slips_sixth_reports.SCRIPTS,
}
CONTROLS: dict[str, AnySlip] = {
    **CONTROLS_OF_SIXTH,
    **CONTROLS_OF_SEVENTH,
    **CONTROLS_OF_NINTH,
    **CONTROLS_OF_TENTH,
    **CONTROLS_OF_ELEVENTH,
    **CONTROLS_OF_TWELFTH,
    **CONTROLS_OF_THIRTEENTH,
    **CONTROLS_OF_FOURTEENTH,
    **CONTROLS_OF_FIFTEENTH,
    **CONTROLS_OF_SIXTEENTH,
    **CONTROLS_OF_SEVENTEENTH,
    **CONTROLS_OF_EIGHTEENTH,
    **CONTROLS_OF_PIPELINES,
}
SIXTH_PUT_ASIDE = held_out(sorted(SIXTH), seed=61126)
SEVENTH: dict[str, AnySlip] = {
    **slips_seventh_data.SLIPS,
    **slips_seventh_training.SLIPS,
    **slips_seventh_reports.SLIPS,
    **slips_seventh_reports.SCRIPTS,
}
SEVENTH_PUT_ASIDE = held_out(sorted(SEVENTH), seed=71126)
# The eighth set was taken from public reports, half of it run once when the checks were complete.
EIGHTH: dict[str, AnySlip] = {
    **slips_eighth_data.SLIPS,
    **slips_eighth_training.SLIPS,
    **slips_eighth_scripts.SCRIPTS,
}
EIGHTH_PUT_ASIDE = held_out(sorted(EIGHTH), seed=81126)
# The ninth set comes from outside only: foreign networks, plug-ins and files of games. Its author
# had read none of the checks.
NINTH: dict[str, AnySlip] = {
    **slips_ninth_scripts.SCRIPTS,
    **slips_ninth_plugins.PLUGINS,
    **slips_ninth_games.GAMES,
}
NINTH_PUT_ASIDE = held_out(sorted(NINTH), seed=91127)
# The tenth set was put aside as a whole: its author had read none of the checks, and nobody who
# wrote checks had seen it when it was run.
TENTH: dict[str, AnySlip] = {
    **slips_tenth_scripts.SCRIPTS,
    **slips_tenth_plugins.PLUGINS,
    **slips_tenth_plugins.GAMES,
    **slips_tenth_data.SLIPS,
    **slips_tenth_training.SLIPS,
}
# The eleventh set was put aside in the same way, and opened after its first run.
ELEVENTH: dict[str, AnySlip] = {
    **slips_eleventh_scripts.SCRIPTS,
    **slips_eleventh_plugins.PLUGINS,
    **slips_eleventh_plugins.GAMES,
    **slips_eleventh_data.SLIPS,
    **slips_eleventh_training.SLIPS,
}
HELD_OUT_SLIPS = held_out(sorted(SLIPS), seed=1126)
HELD_OUT_SCRIPTS = held_out(sorted(SCRIPTS), seed=1127)
# So was the twelfth set, whose networks are mostly brought over from another library.
TWELFTH: dict[str, AnySlip] = {
    **slips_twelfth_scripts.SCRIPTS,
    **slips_twelfth_data.SLIPS,
    **slips_twelfth_data.GAMES,
    **slips_twelfth_training.SLIPS,
}
# And the thirteenth, of networks of other kinds than those of the twelfth.
THIRTEENTH: dict[str, AnySlip] = {**slips_thirteenth_scripts.SCRIPTS}
# The fourteenth was drawn from the likeliest mistakes, and not written to surprise.
FOURTEENTH: dict[str, AnySlip] = {
    **slips_fourteenth_scripts.SCRIPTS,
    **slips_fourteenth_pipeline.SLIPS,
    **slips_fourteenth_pipeline.FILES,
}
# So was the fifteenth, by another author, from what the fourteenth had left.
FIFTEENTH: dict[str, AnySlip] = {
    **slips_fifteenth_scripts.SCRIPTS,
    **slips_fifteenth_pipeline.SLIPS,
    **slips_fifteenth_pipeline.FILES,
}
# The sixteenth was drawn from one more list of likely mistakes, with those that other sets have.
SIXTEENTH: dict[str, AnySlip] = {
    **slips_sixteenth_scripts.SCRIPTS,
    **slips_sixteenth_pipeline.SLIPS,
    **slips_sixteenth_pipeline.FILES,
}
# So was the seventeenth, by another author.
SEVENTEENTH: dict[str, AnySlip] = {
    **slips_seventeenth_scripts.SCRIPTS,
    **slips_seventeenth_pipeline.SLIPS,
    **slips_seventeenth_pipeline.FILES,
}
# And the eighteenth, by one more.
EIGHTEENTH: dict[str, AnySlip] = {
    **slips_eighteenth_scripts.SCRIPTS,
    **slips_eighteenth_pipeline.SLIPS,
    **slips_eighteenth_pipeline.FILES,
}
