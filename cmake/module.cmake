# crossweep_module(NAME USES target...) makes the library crossweep::NAME of src/NAME, with its public headers
# in include/crossweep/NAME. The link line is the architecture: tests/architecture checks the #includes against it.

add_library(crossweep_options INTERFACE)
target_compile_options(crossweep_options INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${CROSSWEEP_WERROR}>:-Werror>)
target_compile_definitions(crossweep_options INTERFACE $<$<BOOL:${CROSSWEEP_CHECKS}>:CROSSWEEP_CHECKS>)
if(CROSSWEEP_SANITIZE)
    # Function multiversioning resolves before the sanitizers' run time is ready: one version only.
    target_compile_options(crossweep_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
    target_link_options(crossweep_options INTERFACE -fsanitize=address,undefined)
    target_compile_definitions(crossweep_options INTERFACE CROSSWEEP_SINGLE_VERSION)
endif()

function(crossweep_module name)
    cmake_parse_arguments(MODULE "" "" "USES" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
    add_library(crossweep_${name} STATIC ${sources})
    add_library(crossweep::${name} ALIAS crossweep_${name})
    target_include_directories(crossweep_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(crossweep_${name} PUBLIC ${MODULE_USES} PRIVATE crossweep_options)
    set_property(GLOBAL APPEND PROPERTY CROSSWEEP_MODULES ${name})
    set_property(GLOBAL PROPERTY CROSSWEEP_USES_${name} "${MODULE_USES}")
endfunction()

# crossweep_kernels(FILE...) marks sources of vectorised loops: no errno and no traps from mathematics, so that the
# compiler may vectorise square roots and conversions; results stay those of IEEE arithmetic, without contraction.
function(crossweep_kernels)
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off)
endfunction()
