# Script: write the generated build_info.hpp with the commit that is being built, if it has changed.
#   cmake -DSOURCE=... -DOUTPUT=... -DPROJECT_VERSION=... -DCMAKE_BUILD_TYPE=... -P git_commit.cmake
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE CROSSWEEP_GIT_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT CROSSWEEP_GIT_COMMIT)
    set(CROSSWEEP_GIT_COMMIT unknown)  # not a git checkout
endif()
configure_file(${SOURCE}/cmake/build_info.hpp.in ${OUTPUT} @ONLY)
